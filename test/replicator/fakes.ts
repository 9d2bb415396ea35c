/** Parts of services, for code that needs no more of them; the rest dies with a sentence that names it. */

/** `parts` of a service. Whatever else is used of it is a mistake of the test. */
export const mock = <Service extends object>(parts: Partial<Service>): Service =>
  new Proxy(parts as Service, {
    get: (target, name) => {
      if (name in target) return target[name as keyof Service]
      throw new Error(`the test does not provide ${String(name)}`)
    }
  })
