# syntax=docker/dockerfile:1
#
# nodens as one layer: Node.js, the program as one bundle, `nft` and `ip`. Built from a base that has Node.js 26 and Debian's apt.
ARG BASE=node:26-trixie-slim

# The bundle, V8's snapshot of it, and Node.js without symbols, which are a fifth of it. Needs development dependencies and
# tools, of which nothing gets further than this stage.
FROM ${BASE} AS bundle
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends binutils libcap2-bin \
 && mkdir -p /out/usr/local/bin \
 && strip -o /out/usr/local/bin/node "$(command -v node)" \
 # Port 53 for a user without capabilities. It must be the only file capability: with others Node.js ignores its environment.
 && setcap cap_net_bind_service=+ep /out/usr/local/bin/node
WORKDIR /build
COPY package.json package-lock.json ./
# Without install scripts: the only one fetches Node.js, which is here.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY src src
COPY scripts/bundle.ts scripts/bundle.ts
RUN node scripts/bundle.ts /out/usr/lib/nodens \
 # For whatever user the container runs as: root without DAC_OVERRIDE may not write where only another user may.
 && install -d -m 1777 /out/run/nodens && mkdir -p /out/etc/nodens
COPY deploy/image/nodens.yaml /out/etc/nodens/nodens.yaml
COPY deploy/image/nodens /out/usr/local/bin/nodens
# As in the ENTRYPOINT below, which cannot read variables; a test compares them.
ARG V8_FLAGS="--max-semi-space-size=4 --heap-growing-percent=20 --no-maglev --no-sparkplug --no-allocation-site-pretenuring --expose-gc"
# The program with all its modules loaded, as the process begins with it. Only this very version of Node.js takes it.
RUN cd /out/usr/lib/nodens \
 && node ${V8_FLAGS} --snapshot-blob nodens.blob --build-snapshot-config snapshot.json \
 && rm snapshot.cjs snapshot.json && chmod -R a+rX .

# The system: what the base has, plus the two programs for attaching, minus package managers of JavaScript.
FROM ${BASE} AS system
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends nftables iproute2 \
 # Nobody in here changes users or passwords.
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
 && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /tmp/* /root/.npm \
      /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/etc/npmrc \
      /usr/local/bin/yarn /usr/local/bin/yarnpkg /opt/yarn* /usr/local/include /usr/local/share/doc /usr/local/share/man \
      /usr/share/doc /usr/share/man /usr/share/locale
COPY --from=bundle /out/ /

# One layer: what was removed above is not carried along.
FROM scratch
COPY --from=system / /
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="nodens" \
      org.opencontainers.image.description="Node-local caching DNS server for Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/nodens-dns/nodens" \
      org.opencontainers.image.documentation="https://github.com/nodens-dns/nodens/blob/main/docs/install.md" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
# The threshold keeps the C library from giving large arrays, once the first has been freed, memory that it keeps and that was touched before.
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    NODENS_REVISION="${REVISION}" \
    MALLOC_ARENA_MAX=1 \
    MALLOC_MMAP_THRESHOLD_=131072 \
    UV_THREADPOOL_SIZE=1
# What changes the node's network runs as root, with all capabilities but two dropped; everything else as this user.
USER 65532:65532
STOPSIGNAL SIGTERM
# The flags stand here and not in NODE_OPTIONS, which Node.js ignores when its file has capabilities that it does not expect.
# With a full cache they keep a third of the memory out of the resident set, where V8 would let garbage grow with the heap. Maglev, the
# middle one of V8's compilers, takes 20 to 60 MiB while it compiles what the first queries run, and the C library keeps them. Sparkplug, the
# lowest one, takes 6 MiB with what it compiles, and spares little CPU once the highest has come, though its absence delays the slowest misses (docs/benchmarks.md). `gc` is for
# collecting the garbage of the start once, which V8 would keep for hours. None limits the heap: nodens would end where a burst needs
# more. The container's limit is the limit.
# The last argument stands where Node.js wants a script; it finds there what the snapshot does not hold.
ENTRYPOINT ["node", "--snapshot-blob=/usr/lib/nodens/nodens.blob", "--max-semi-space-size=4", "--heap-growing-percent=20", "--no-maglev", "--no-sparkplug", "--no-allocation-site-pretenuring", "--expose-gc", "/usr/lib/nodens/nodens.mjs"]
CMD ["serve", "--config", "/etc/nodens/nodens.yaml"]
# For engines that look at it; Kubernetes has probes of its own. Both read the files in the folder that `probes.directory` names.
HEALTHCHECK --interval=10s --timeout=2s --start-period=5s --retries=3 \
  CMD test $(( $(date +%s) - $(stat -c %Y /run/nodens/alive) )) -lt 10
