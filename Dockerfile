# The image: one static-pie program on `scratch`, user 65532, nothing to shell into.
#
#   docker build -t nvcf-registry-webhook .          or: make image (needs no Docker daemon)
#   docker build --build-arg TARGETARCH=arm64 …      cross-compiled; BuildKit and buildah set
#                                                    TARGETARCH themselves from --platform
#
# libmicrohttpd and libcurl are built from Debian's own sources with what this program uses and
# no more (tools/static-libs.sh): no GnuTLS, Kerberos, LDAP, SSH, HTTP/2. The rest is Debian's
# static libraries. One crypto library, OpenSSL, is in it. The same package versions give the same
# bytes; build with a fixed timestamp (buildah --timestamp, SOURCE_DATE_EPOCH) for the same digest.
ARG BASE=docker.io/library/debian:bookworm-slim

FROM --platform=${BUILDPLATFORM:-linux/amd64} ${BASE} AS libraries
ARG TARGETARCH
COPY tools/static-libs.sh /
RUN /static-libs.sh packages "${TARGETARCH}"
RUN /static-libs.sh build

FROM libraries AS build
ARG VERSION=0.1.0
ARG COMMIT=unknown
COPY . /source
WORKDIR /source
RUN set -eu; . /target; \
    export PKG_CONFIG_LIBDIR=/opt/static/lib/pkgconfig:/usr/lib/$triplet/pkgconfig; \
    make -s -j"$(nproc)" STATIC=1 NO_SETUP=1 ARCH="${triplet%%-*}" CC="$triplet-gcc" AR="$triplet-ar" \
        VERSION="$VERSION" COMMIT="$COMMIT"; \
    install -D -m 755 build/static/nvcf-registry-webhook /out/nvcf-registry-webhook; \
    "$triplet-strip" /out/nvcf-registry-webhook; \
    if readelf -lW /out/nvcf-registry-webhook | grep -q INTERP; then echo "not static" >&2; exit 1; fi; \
    /static-libs.sh notices /out/usr/share/doc/nvcf-registry-webhook; \
    cp LICENSE /out/usr/share/doc/nvcf-registry-webhook/licenses/nvcf-registry-webhook; \
    mkdir -p /out/etc; \
    echo 'nonroot:x:65532:65532::/:/sbin/nologin' > /out/etc/passwd; \
    echo 'nonroot:x:65532:' > /out/etc/group

FROM scratch
ARG VERSION=0.1.0
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="nvcf-registry-webhook" \
      org.opencontainers.image.description="Admission webhook that makes the container registries of NVIDIA's self-hosted NVCF API a policy" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"
COPY --from=build /out/ /
USER 65532:65532
EXPOSE 8443 8080
ENTRYPOINT ["/nvcf-registry-webhook"]
CMD ["serve"]
