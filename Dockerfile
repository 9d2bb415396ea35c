ARG NODE=node:26-bookworm-slim

# Compiles src to JavaScript with the project's own compiler.
FROM ${NODE} AS build
WORKDIR /rondo
COPY package.json package-lock.json .npmrc ./
COPY scripts/linkNode.sh scripts/
RUN npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run --silent build

# Only the modules needed at run time: no compiler, no tests, and the image's own Node instead of the npm package.
FROM ${NODE} AS modules
WORKDIR /rondo
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional --no-audit --no-fund --ignore-scripts --loglevel=error

FROM ${NODE}
# MALLOC_*: see bin/rondo.
ENV NODE_ENV=production DATA_DIR=/data MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=131072
WORKDIR /rondo
COPY --from=modules /rondo/node_modules node_modules
COPY --from=build /rondo/dist dist
COPY package.json ./
COPY bin bin
# Before USER: otherwise a new named volume would belong to root.
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
STOPSIGNAL SIGTERM
# Slim images have no curl. The last part of LISTEN is the port.
HEALTHCHECK --interval=5s --timeout=2s --retries=3 --start-period=30s --start-interval=500ms \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.LISTEN.split(':').pop()}/readyz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# Runs `node` directly and not bin/rondo, so that it is process 1 and receives SIGTERM.
CMD ["node", "--max-semi-space-size=16", "--heap-growing-percent=75", "--disable-warning=ExperimentalWarning", "dist/main.js", "serve"]
