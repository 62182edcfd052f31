# syntax=docker/dockerfile:1
# All services of Sluice in one image: `docker run sluice service writer`.
FROM node:20-bookworm-slim AS build
WORKDIR /sluice
COPY . .
RUN --mount=type=cache,target=/root/.npm npm ci --no-audit --no-fund
RUN npm run build \
  && npm prune --omit=dev --no-audit --no-fund \
  # The demo and the test kit start servers that are not in this image; sources are not run here.
  && rm -rf apps/demo libs/testkit \
  && for folder in libs/* services/* apps/*; do rm -rf "$folder/src" "$folder/.turbo" "$folder/tsconfig.json"; done

FROM node:20-bookworm-slim
ENV NODE_ENV=production
WORKDIR /sluice
COPY --from=build /sluice/package.json ./
COPY --from=build /sluice/node_modules node_modules
COPY --from=build /sluice/libs libs
COPY --from=build /sluice/services services
COPY --from=build /sluice/apps apps
USER node
ENTRYPOINT ["node", "apps/cli/dist/bundle.js"]
CMD ["--help"]
