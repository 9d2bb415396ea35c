/** Network addresses as settings and messages write them. Pure. */

/** Splits `host:port`, with `[::1]:8080` for IPv6; `undefined` when it is neither. */
export const parseAddress = (text: string): { readonly host: string; readonly port: number } | undefined => {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:\s[\]/]+)):([0-9]{1,5})$/.exec(text)
  if (match === null) return undefined
  const port = Number(match[3])
  return port > 65535 ? undefined : { host: (match[1] ?? match[2])!, port }
}

/** Whether only this machine can reach the address. `127.example.com` is a name, not a loopback address. */
export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || /^127(\.[0-9]{1,3}){3}$/.test(host)
