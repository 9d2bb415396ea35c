/** The target of a request. Pure. */

/** Path and query. A proxy may send the target in absolute form. */
export const pathOf = (url: string): string =>
  url.charCodeAt(0) === 0x2f ? url : url.replace(/^https?:\/\/[^/?]*/i, "") || "/"
