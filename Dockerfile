# The recorder in a container that writes to the volume /data.
#
#   docker build -t upbit-recorder .
#   docker run -d --name recorder --ulimit nofile=65536 -v tape:/data upbit-recorder
#   docker run --rm upbit-recorder check
#
# Settings: -e UPBIT_RECORDER_PUBLIC__SUBSCRIBE='[{type="trade",codes=["KRW-BTC"]}]', or a file that is mounted and
# named behind `record --config`.

FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin upbit-recorder

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin recorder \
    && install -d -o recorder -g recorder /data
COPY --from=build /src/target/release/upbit-recorder /usr/local/bin/
USER recorder
VOLUME /data
WORKDIR /data
ENV UPBIT_RECORDER_DATA_DIR=/data
# An orderly stop takes at most 10 s, which is what Docker waits: `docker stop -t 20` leaves a slow disk some air.
STOPSIGNAL SIGTERM
ENTRYPOINT ["upbit-recorder"]
CMD ["record"]
