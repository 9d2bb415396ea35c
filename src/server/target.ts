/** Path and query of a request's target, which a proxy may send in absolute form. Pure. */
export const pathOf = (url: string): string =>
  url.charCodeAt(0) === 0x2f ? url : url.replace(/^https?:\/\/[^/?]*/i, "") || "/"
