#!/usr/bin/env bash
# Which room may include which. One direction, so that a room can be read, tested and replaced
# without knowing the ones above it:
#   util <- core <- policy      util <- kube <- certs      core, policy <- admit <- net
# observe (metrics, audit line) is a leaf like util: the rooms that do I/O may report to it,
# core and policy may not. app, cli and main see everything, nothing sees them.
# Outside libraries have one room each as well.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

rooms_seen_by() {
    case $1 in
    util) echo util ;;
    observe) echo util observe ;;
    core) echo util core ;;
    policy) echo util core policy ;;
    kube) echo util observe kube ;;
    certs) echo util observe kube certs ;;
    admit) echo util observe core policy admit ;;
    net) echo util observe core policy admit net ;;
    app | cli | main) echo util observe core policy kube certs admit net app cli ;;
    *) echo "" ;;
    esac
}
# header pattern, then the rooms that may include it
libraries='microhttpd\.h:net main cli app
openssl/ssl\.h:net app cli
openssl/.*:net certs app cli util policy admit kube
curl/curl\.h:kube app cli
yaml\.h:policy kube app cli
jansson\.h:policy admit kube certs main app cli observe'

room_of() { # FILE -> room
    case $1 in
    certs/*) echo certs ;;
    webhook/main.c) echo main ;;
    webhook/*/*)
        local r=${1#webhook/}
        echo "${r%%/*}"
        ;;
    webhook/*) echo app ;; # app.c and what serves it
    esac
}

check() {
    local rc=0 f room seen line header target
    local -a rule
    for f in $(c_files | grep -E '^(webhook|certs)/' || true); do
        room=$(room_of "$f")
        seen=$(rooms_seen_by "$room")
        if [ -z "$seen" ]; then
            echo "$f: room '$room' is not in the list; add it to tests/lint/includes.sh with what it may see"
            rc=1
            continue
        fi
        while IFS= read -r header; do
            [ -n "$header" ] || continue
            case $header in
            */*) target=${header%%/*} ;;
            *) target=app ;;
            esac
            if [[ " $seen " != *" $target "* ]]; then
                echo "$f: $room must not include \"$header\" (it may see: $seen)"
                rc=1
            fi
        done < <(sed -nE 's/^[ \t]*#[ \t]*include[ \t]*"([^"]+)".*/\1/p' "$f")
        while IFS= read -r header; do
            while IFS=: read -r line seen_by; do
                if [[ $header =~ ^$line$ ]]; then
                    rule=()
                    read -ra rule <<<"$seen_by"
                    if [[ " ${rule[*]} " != *" $room "* ]]; then
                        echo "$f: $room must not include <$header> (only: $seen_by)"
                        rc=1
                    fi
                    break
                fi
            done <<<"$libraries"
        done < <(sed -nE 's/^[ \t]*#[ \t]*include[ \t]*<([^>]+)>.*/\1/p' "$f")
    done
    return "$rc"
}

include_in() { # FILE LINE
    mkdir -p "$(dirname "$1")"
    printf '%s\n' "$2" >"$1"
}
bad_core_sees_policy() { include_in webhook/core/a.c '#include "policy/policy.h"'; }
bad_core_sees_observe() { include_in webhook/core/a.c '#include "observe/metrics.h"'; }
bad_net_sees_kube() { include_in webhook/net/a.c '#include "kube/client.h"'; }
bad_admit_sees_app() { include_in webhook/admit/a.c '#include "app.h"'; }
bad_library() { include_in webhook/admit/a.c '#include <microhttpd.h>'; }
bad_yaml_in_core() { include_in webhook/core/a.h '#  include <yaml.h>'; }
bad_unknown_room() { include_in webhook/attic/a.c '#include "util/err.h"'; }
good_tree() {
    include_in webhook/net/a.c '#include "admit/review.h"'
    include_in webhook/app.c '#include "kube/client.h"'
    include_in webhook/cli/serve.c '#include "app.h"'
    include_in certs/rotate.c '#include "kube/client.h"'
    include_in webhook/net/http.c '#include <microhttpd.h>'
    include_in webhook/policy/text.c '#include <yaml.h>'
}
lint_main "$@"
