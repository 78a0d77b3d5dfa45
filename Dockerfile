# Both daemons on one small image: order-svc (the default) and delivery-svc.
# scripts/package-image.sh builds it for a release: it pins BASE by its digest, and adds a bill of materials.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS runtime
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libcurl4t64 libgnutls30t64 libhiredis1.1.0 \
        libjansson4 libjwt2 libmicrohttpd12t64 libpq5 libssl3t64 zlib1g \
    && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*
ARG VERSION=development
ARG REVISION=unknown
LABEL org.opencontainers.image.title="order-processing-system" org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
USER 10001:10001
EXPOSE 3001 3002
# of the default command; a container of delivery-svc has ["delivery-svc", "--health"], as in docker-compose.yml
HEALTHCHECK --interval=5s --timeout=3s --retries=6 CMD ["order-svc", "--health"]
CMD ["order-svc"]

FROM ${BASE} AS build
WORKDIR /src
COPY scripts/lib.sh scripts/install-deps.sh scripts/
RUN scripts/install-deps.sh build
COPY CMakeLists.txt CMakePresets.json ./
COPY cmake cmake
COPY include include
COPY sql sql
COPY src src
COPY web web
RUN cmake --preset release -DBUILD_TESTING=OFF \
    && cmake --build --preset release \
    && cmake --install build/release --prefix /usr/local --strip

FROM runtime
COPY --from=build /usr/local/bin/order-svc /usr/local/bin/delivery-svc /usr/local/bin/
