# Both daemons on one small image: order-svc (the default) and delivery-svc.
FROM debian:bookworm-slim AS build
WORKDIR /src
COPY scripts/lib.sh scripts/install-deps.sh scripts/
RUN scripts/install-deps.sh build
COPY CMakeLists.txt CMakePresets.json ./
COPY cmake cmake
COPY include include
COPY sql sql
COPY src src
RUN cmake --preset release -DBUILD_TESTING=OFF \
    && cmake --build --preset release \
    && cmake --install build/release --prefix /usr/local --strip

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libcurl4 libgnutls30 libhiredis0.14 libjansson4 \
        libmicrohttpd12 libpq5 libssl3 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /usr/local/bin/order-svc /usr/local/bin/delivery-svc /usr/local/bin/
USER 10001:10001
EXPOSE 3001 3002
CMD ["order-svc"]
