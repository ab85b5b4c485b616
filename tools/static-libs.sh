#!/usr/bin/env bash
# Makes what a static-pie of the program is linked from; runs inside a throw-away Debian (the
# image build), as root, and changes that system. Used by the Dockerfile only.
#   tools/static-libs.sh packages [ARCH]   compiler and Debian's static libraries, for ARCH
#   tools/static-libs.sh build             libmicrohttpd and libcurl into /opt/static
#   tools/static-libs.sh notices DIR       licences and the component list of what is linked in
# ARCH is amd64 or arm64; when it is not this machine's own, everything is cross-compiled.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
packages=(libc6-dev libssl-dev libjansson-dev libyaml-dev)
# shellcheck disable=SC1091 # written by the first step
[ "$1" = packages ] || . /target

packages() { # [ARCH]
    local host triplet compiler p target
    local -a libraries=()
    host=$(dpkg --print-architecture)
    target=${1:-$host}
    case $target in
    amd64) triplet=x86_64-linux-gnu ;;
    arm64) triplet=aarch64-linux-gnu ;;
    *)
        echo "TARGETARCH=$target is not known: amd64 or arm64" >&2
        exit 1
        ;;
    esac
    printf 'target=%s\ntriplet=%s\n' "$target" "$triplet" >/target
    # Debian's source index is not on by default, and the list lies in one of two formats.
    for p in /etc/apt/sources.list.d/*.sources; do
        [ ! -e "$p" ] || sed -i 's/^Types: deb$/Types: deb deb-src/' "$p"
    done
    for p in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ ! -s "$p" ] || sed -n 's/^deb /deb-src /p' "$p" >>/etc/apt/sources.list.d/source-index.list
    done
    compiler=gcc
    if [ "$target" != "$host" ]; then
        dpkg --add-architecture "$target"
        compiler="gcc-${triplet//_/-}"
    fi
    for p in "${packages[@]}"; do libraries+=("$p:$target"); done
    apt-get -qq update
    apt-get -qq install -y --no-install-recommends make pkg-config dpkg-dev xz-utils file patch \
        "$compiler" "${libraries[@]}" >/dev/null
}

build() {
    mkdir -p /src
    cd /src
    apt-get -qq source libmicrohttpd curl >/dev/null 2>&1
    export CC=$triplet-gcc AR=$triplet-ar RANLIB=$triplet-ranlib STRIP=$triplet-strip
    CFLAGS="-O2 -g0 -fPIE -ffunction-sections -fdata-sections -ffile-prefix-map=/src=."
    CFLAGS+=" -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection"
    case $target in
    amd64) CFLAGS+=" -fcf-protection=full" ;;
    arm64) CFLAGS+=" -mbranch-protection=standard" ;;
    esac
    export CFLAGS PKG_CONFIG_LIBDIR=/usr/lib/$triplet/pkgconfig
    local -a common=(--quiet "--host=$triplet" --prefix=/opt/static --disable-shared --enable-static)

    # HTTP/1.1 over descriptors that it is given; TLS is in front of it. No authentication,
    # forms or upgrades.
    cd /src/libmicrohttpd-*/
    ./configure "${common[@]}" --disable-https --disable-doc --disable-examples --disable-curl \
        --disable-bauth --disable-dauth --disable-postprocessor --disable-httpupgrade --disable-nls
    make -s -j"$(nproc)" -C src/microhttpd install-libLTLIBRARIES >/dev/null
    make -s -C src/include install >/dev/null
    make -s install-pkgconfigDATA >/dev/null

    # The Kubernetes API over HTTP(S), with OpenSSL. No CA bundle: the cluster's own is given. A few
    # requests a minute: small rather than fast.
    cd /src/curl-*/
    CFLAGS=${CFLAGS/-O2/-Os}
    local -a without=() disable=()
    local x
    for x in ca-bundle ca-path zlib brotli zstd libpsl libidn2 nghttp2 nghttp3 ngtcp2 librtmp libssh2 \
        libssh libgsasl gssapi; do without+=("--without-$x"); done
    for x in ldap ldaps ftp file rtsp dict telnet tftp pop3 imap smb smtp gopher mqtt manual ntlm \
        ntlm-wb tls-srp cookies alt-svc hsts doh netrc libcurl-option unix-sockets; do disable+=("--disable-$x"); done
    ./configure "${common[@]}" --with-openssl "${without[@]}" "${disable[@]}" 2>/dev/null
    make -s -j"$(nproc)" -C lib install >/dev/null
    make -s -C include install >/dev/null
    make -s install-pkgconfigDATA >/dev/null
    rm -rf /src/*/
}

notices() { # DIR
    local p f
    mkdir -p "$1/licenses"
    for p in "${packages[@]}"; do
        dpkg-query -W -f='${source:Package}\t${source:Version}\n' "$p:$target"
        cp -L "/usr/share/doc/$p/copyright" "$1/licenses/$p"
    done >"$1/components.tsv"
    for p in libmicrohttpd curl; do
        f=$(ls /src/${p}_*.dsc)
        awk '/^Source:/ { s = $2 } /^Version:/ { v = $2 } END { print s "\t" v }' "$f" >>"$1/components.tsv"
        tar -xOf "${f%.dsc}".debian.tar.* debian/copyright >"$1/licenses/$p"
    done
    sort -u -o "$1/components.tsv" "$1/components.tsv"
}

"$@"
