/** Reads a node's metrics in Prometheus' text format. Pure. */

const lines = function*(page: string) {
  for (const line of page.split("\n")) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{([^}]*)\})? ([-+.\deE]+)/.exec(line)
    if (match !== null) yield { name: match[1]!, labels: match[2] ?? "", value: Number(match[3]) }
  }
}

/** The sum of all metrics whose names match, over all labels. */
export const sum = (page: string, wanted: RegExp): number => {
  let total = 0
  for (const { name, value } of lines(page)) {
    if (wanted.test(name)) total += value
  }
  return total
}

/** The first metric with this name and label; `undefined` if the node does not report it. */
export const value = (page: string, wanted: string, label = ""): number | undefined => {
  for (const { labels, name, value } of lines(page)) {
    if (name === wanted && labels.includes(label)) return value
  }
  return undefined
}
