/** How each kind of fault begins and ends. */
import type { Cluster } from "./Cluster.ts"
import type { Disturbance } from "./History.ts"
import type { Weather } from "./Network.ts"
import type { Fault } from "./Schedule.ts"
import type { SimulatedNode } from "./SimulatedNode.ts"
import type { World } from "./World.ts"

export interface FaultsOptions {
  readonly world: World
  readonly cluster: Cluster
  readonly schedule: ReadonlyArray<Fault>
  /** Starts the node, and calls back when it takes part again. */
  readonly restart: (node: SimulatedNode, whenReady: () => void) => void
}

export interface Faults {
  readonly disturbances: ReadonlyArray<Disturbance>
  readonly injected: Readonly<Record<string, number>>
  /** Ends those that are under way. */
  readonly endAll: () => void
}

/** Schedules them all, from now on. */
export const begin = (options: FaultsOptions): Faults => {
  const { cluster, schedule, world } = options
  const disturbances: Array<Disturbance> = []
  const injected: Record<string, number> = {}
  const underWay = new Set<() => void>()
  for (const fault of schedule) {
    world.after(cluster.outside, fault.atMillis, () => {
      const nodes = fault.nodes.map((place) => cluster.nodes[place]!)
      const end = inject(options, fault, nodes, disturbances)
      if (end === undefined) return
      world.trace(`fault ${fault.kind} ${nodes.map(({ id }) => id).join(" ")}`)
      injected[fault.kind] = (injected[fault.kind] ?? 0) + 1
      const endOnce = () => {
        if (underWay.delete(endOnce)) end()
      }
      underWay.add(endOnce)
      world.after(cluster.outside, fault.forMillis, endOnce)
    })
  }
  return {
    disturbances,
    injected,
    endAll: () => {
      for (const end of underWay) end()
    }
  }
}

/** Returns how to end the fault; `undefined` when it cannot happen now, such as to a node that is down already. */
const inject = (
  { cluster, restart, world }: FaultsOptions,
  { kind, strength }: Fault,
  nodes: ReadonlyArray<SimulatedNode>,
  disturbances: Array<Disturbance>
): (() => void) | undefined => {
  const { network } = cluster
  const [node] = nodes as [SimulatedNode]
  const everybody = cluster.nodes.map(({ id }) => id as string)

  const disturb = (names: ReadonlyArray<string>) => {
    const disturbance: Disturbance = { kind, nodes: names, fromMillis: world.now(), toMillis: Infinity }
    disturbances.push(disturbance)
    return () => {
      disturbance.toMillis = world.now()
    }
  }
  const names = nodes.map(({ id }) => id as string)

  const crash = (power: boolean, whileDown: (node: SimulatedNode) => void = () => {}) => {
    // A machine whose process was killed still loses its caches with the power.
    const hit = nodes.filter(({ machineIsUp, process }) => process !== undefined || (power && machineIsUp))
    if (hit.length === 0) return undefined
    const over = disturb(hit.map(({ id }) => id))
    for (const one of hit) cluster.crash(one, power && kind === "power-all" ? 0 : Math.floor(strength * 60), power)
    return () => {
      let waiting = hit.length
      for (const one of hit) {
        cluster.crash(one, 0, power)
        whileDown(one)
        restart(one, () => {
          if (--waiting === 0) over()
        })
      }
    }
  }

  const cut = (pairs: ReadonlyArray<readonly [string, string]>, concerned: ReadonlyArray<string>) => {
    const over = disturb(concerned)
    for (const [from, to] of pairs) network.cut(from, to)
    return () => {
      for (const [from, to] of pairs) network.mend(from, to)
      over()
    }
  }
  const worsen = (weather: Weather, of: keyof Weather, value: number, concerned: ReadonlyArray<string>) => {
    if (weather[of] > 0) return undefined
    const over = disturb(concerned)
    weather[of] = value
    return () => {
      weather[of] = 0
      over()
    }
  }

  const others = everybody.filter((name) => !names.includes(name))
  const bothWays = names.flatMap((name) => others.flatMap((other) => [[name, other], [other, name]] as const))

  switch (kind) {
    case "kill":
      return crash(false)
    case "power":
    case "power-all":
      return crash(true)
    case "lost-disk":
      return crash(true, (one) => cluster.replaceDisk(one))
    case "pause": {
      const { process } = node
      if (process === undefined) return undefined
      const over = disturb(names)
      process.pause()
      return () => {
        process.resume()
        over()
      }
    }
    case "partition":
      return cut(
        bothWays,
        names.length <= others.length
          ? (names.length === 1 ? names : everybody)
          : others.length === 1
          ? others
          : everybody
      )
    case "isolate":
      return cut(bothWays, names)
    case "one-way":
      // The sender can do without that peer, as with any that is away.
      return cut([[names[0]!, names[1]!]], [names[1]!])
    case "loss":
      return worsen(network.weather, "lossShare", 0.02 + strength * 0.3, everybody)
    case "duplicate":
      return worsen(network.weather, "duplicateShare", 0.05 + strength * 0.4, [])
    case "delay":
      return worsen(network.weather, "extraDelayMillisMax", 5 + strength * 1500, everybody)
    case "slow-link":
      return worsen(network.weatherOf(node.id), "extraDelayMillisMax", 20 + strength * 3000, names)
    case "slow-disk": {
      if (node.diskSpeed.factor > 1) return undefined
      const over = disturb(names)
      node.diskSpeed.factor = 10 + strength * 500
      return () => {
        node.diskSpeed.factor = 1
        over()
      }
    }
    case "disk-full": {
      if (node.isFull) return undefined
      const over = disturb(names)
      node.fillDisk(true)
      return () => {
        node.fillDisk(false)
        over()
      }
    }
    case "clock-jump": {
      const jump = (strength - 0.5) * 2 * (strength > 0.3 && strength < 0.7 ? 60_000 : 86_400_000)
      node.setClockOffset(node.clockOffsetMillis + jump)
      return () => node.setClockOffset(0)
    }
    case "clock-skew":
      node.setSlowness(0.8 + strength * 0.4)
      return () => node.setSlowness(1)
    case "bit-rot": {
      const files = Array.from(node.disk.files()).filter(([path, bytes]) =>
        /\.(sst|idx)$/.test(path) && bytes.length > 0
      )
      if (files.length === 0) return undefined
      const count = 1 + Math.floor((strength * 7) % 3)
      for (let index = 0; index < count; index++) {
        const [path, bytes] = files[Math.floor(strength * files.length + index) % files.length]!
        node.damage(path, Math.floor(strength * 7919 + index * 104_729) % bytes.length)
      }
      disturb(names)
      return () => {}
    }
  }
}
