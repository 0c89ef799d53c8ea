# The recorder in a container that writes to the volume /data. Linux on x86-64 and arm64.
#
#   docker build -t upbit-recorder --build-arg COMMIT=$(git rev-parse HEAD) .
#   docker run -d --name recorder --read-only --cap-drop ALL --security-opt no-new-privileges \
#       --ulimit nofile=65536 --stop-timeout 22 -v tape:/data upbit-recorder
#   docker run --rm upbit-recorder check
#
# Settings are variables, -e UPBIT_RECORDER_PUBLIC__SUBSCRIBE='[{type="trade",codes=["KRW-BTC"]}]', or a file that is
# mounted and named behind `record --config`. A folder that is mounted at /data belongs to user 10001. config/compose.yaml
# has Prometheus and Grafana beside it.

# Both bases are the distribution's own, by version; pin them by digest where an image has to be the same for ever.
ARG BUILD=docker.io/library/rust:1.89-bookworm
ARG BASE=gcr.io/distroless/cc-debian12:nonroot

FROM ${BUILD} AS build
ARG COMMIT=unknown
WORKDIR /src
COPY . .
RUN UPBIT_RECORDER_COMMIT="$COMMIT" cargo build --release --locked --bin upbit-recorder \
    && install -D -m 755 target/release/upbit-recorder /image/usr/bin/upbit-recorder \
    && install -d -m 750 -o 10001 -g 10001 /image/data

FROM ${BASE}
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="upbit-recorder" \
      org.opencontainers.image.description="Records the exchange Upbit around the clock, losing nothing" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.revision="$COMMIT" \
      org.opencontainers.image.base.name="gcr.io/distroless/cc-debian12:nonroot"
COPY --from=build /image/ /
# A number, so that whoever runs it can see that it is not root.
USER 10001:10001
VOLUME /data
WORKDIR /data
ENV UPBIT_RECORDER_DATA_DIR=/data
EXPOSE 9464
# An orderly stop takes at most 10 s, which is all that Docker waits: `--stop-timeout 22` leaves a slow disk some air.
STOPSIGNAL SIGTERM
# Red while nothing is recorded. A start may take a minute on a slow disk; then three times in a row are no reconnect.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["/usr/bin/upbit-recorder", "health"]
ENTRYPOINT ["/usr/bin/upbit-recorder"]
CMD ["record"]
