#!/usr/bin/env bash
# Installs what the build and the tests need, and only what is missing, so that a second run
# asks dpkg once, takes a fraction of a second and works without a network.
#   tools/setup.sh GROUP…     groups: build test lint fuzz e2e spring image
#   tools/setup.sh --list GROUP…   only says what is missing; exit code 1 if anything is
# Debian and Ubuntu: apt, as root or through sudo. Elsewhere: says what to install, exit code 1.
# An entry "package?command" is satisfied by a command on the PATH, wherever that came from.
set -euo pipefail

packages() {
    case $1 in
    build) echo gcc libc6-dev make pkg-config binutils git libmicrohttpd-dev libssl-dev \
        libjansson-dev libcurl4-openssl-dev libyaml-dev ;;
    test) echo libcmocka-dev 'curl?curl' 'openssl?openssl' 'jq?jq' diffutils 'sslscan?sslscan' ;;
    lint) echo 'clang?clang' clang-format clang-tidy 'shellcheck?shellcheck' 'valgrind?valgrind' ;;
    fuzz) echo 'clang?clang' "$(sanitizer_runtime)" ;;
    e2e) echo 'golang-go?go' 'npm?npm' 'unzip?unzip' 'curl?curl' 'jq?jq' 'prometheus?promtool' python3-yaml faketime ;;
    spring) echo 'maven?mvn' 'default-jdk-headless?javac' 'jq?jq' ;;
    image) echo 'buildah?buildah' 'podman?podman' 'runc?runc' 'mmdebstrap?mmdebstrap' 'jq?jq' \
        'qemu-system-arm?qemu-system-aarch64' 'cpio?cpio' ;;
    *)
        echo "setup: no group '$1' (build test lint fuzz e2e spring image)" >&2
        exit 2
        ;;
    esac
}

# libFuzzer's runtime is a package of its own in Debian, named after clang's major version.
sanitizer_runtime() {
    local major
    major=$(clang -dumpversion 2>/dev/null | cut -d. -f1) || true
    if [ -z "$major" ]; then # clang is installed first, then asked again
        echo 'clang?clang'
    elif [ -e "$(clang -print-file-name="libclang_rt.fuzzer-$(uname -m).a")" ]; then
        echo 'clang?clang'
    else
        echo "libclang-rt-$major-dev"
    fi
}

missing() { # GROUP… -> names of packages that are not there, one a line
    local group entry package command
    local -a wanted=()
    for group in "$@"; do
        for entry in $(packages "$group"); do
            package=${entry%%\?*}
            command=${entry#"$package"}
            command=${command#\?}
            if [ -z "$command" ] || ! command -v "$command" >/dev/null 2>&1; then
                wanted+=("$package")
            fi
        done
    done
    [ ${#wanted[@]} -gt 0 ] || return 0
    if ! command -v dpkg-query >/dev/null 2>&1; then
        printf '%s\n' "${wanted[@]}" | sort -u
        return 0
    fi
    # dpkg-query exits 1 when one is unknown; what it does print is what is there.
    # shellcheck disable=SC2016 # dpkg-query's own variables
    comm -23 <(printf '%s\n' "${wanted[@]}" | sort -u) \
        <(dpkg-query -W -f='${db:Status-Abbrev} ${Package}\n' "${wanted[@]}" 2>/dev/null |
            awk '$1 == "ii" || $1 == "hi" { print $2 }' | sort -u)
}

elsewhere() { # PACKAGE… -> advice for systems without apt
    cat >&2 <<END
setup: this is not Debian or Ubuntu, so nothing was installed. What is needed, in Debian's names:
  $*
On other systems: a C11 compiler (gcc or clang), GNU make, pkg-config, and the development
files of libmicrohttpd >= 0.9.70, OpenSSL >= 3.0, jansson >= 2.13, libcurl, libyaml; for the
tests cmocka, curl, openssl, jq, sslscan, clang, clang-format, clang-tidy, shellcheck, valgrind.
  Fedora: dnf install gcc make pkgconf libmicrohttpd-devel openssl-devel jansson-devel \\
          libcurl-devel libyaml-devel libcmocka-devel clang clang-tools-extra ShellCheck jq valgrind
Then run make again with NO_SETUP=1.
END
    exit 1
}

install() { # PACKAGE…
    local -a root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null 2>&1; then
            echo "setup: not root and no sudo. As root: apt-get install $*" >&2
            exit 1
        fi
        root=(sudo)
    fi
    echo "setup: installing $*" >&2
    local log
    log=$(mktemp)
    # shellcheck disable=SC2064 # the name is wanted now
    trap "rm -f '$log'" EXIT
    local -a apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
        apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
    # An old package list is the usual reason for a failure: refresh it and try once more.
    if ! "${apt[@]}" install -y --no-install-recommends "$@" </dev/null >"$log" 2>&1; then
        if ! { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "$@"; } \
            </dev/null >"$log" 2>&1; then
            tail -20 "$log" >&2
            echo "setup: could not install: $*" >&2
            exit 1
        fi
    fi
}

list=
if [ "${1:-}" = --list ]; then
    list=1
    shift
fi
[ $# -gt 0 ] || set -- build test lint
for group in "$@"; do
    packages "$group" >/dev/null
done

# Twice, because the second answer may depend on the first (clang's own runtime).
for _ in 1 2; do
    mapfile -t need < <(missing "$@")
    [ ${#need[@]} -gt 0 ] || exit 0
    if [ -n "$list" ]; then
        printf '%s\n' "${need[@]}"
        exit 1
    fi
    command -v apt-get >/dev/null 2>&1 || elsewhere "${need[@]}"
    install "${need[@]}"
done
mapfile -t need < <(missing "$@")
if [ ${#need[@]} -gt 0 ]; then
    echo "setup: still missing: ${need[*]}" >&2
    exit 1
fi
