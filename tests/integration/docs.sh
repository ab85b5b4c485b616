#!/usr/bin/env bash
# The examples of docs/POLICY.md are true: each ```yaml block that begins with `# NAME.yaml` is
# a file, each ```console block a command and what it prints. So is the example of `review` in
# README.md. What the table of docs/TESTING.md names is there.
# With --update the outputs are written anew; read the difference before you commit it.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

page=$root/docs/POLICY.md
box=$WORK/box
mkdir -p "$box/bin"
ln -s "$NRW_BIN" "$box/bin/nvcf-registry-webhook"

# blocks FILE: the page again, with the output of every command as it is now
rewritten() {
    local line block='' text=''
    while IFS= read -r line; do
        case $block in
        '')
            printf '%s\n' "$line"
            case $line in '```yaml' | '```console') block=${line#???} text='' ;; esac
            ;;
        yaml)
            printf '%s\n' "$line"
            if [ "$line" = '```' ]; then
                block=
                # shellcheck disable=SC2001 # a pattern
                if [[ $text =~ ^#\ ([a-z]+\.yaml)$'\n' ]]; then printf '%s' "$text" >"$box/${BASH_REMATCH[1]}"; fi
            else
                text+=$line$'\n'
            fi
            ;;
        console)
            case $line in
            '$ '*)
                printf '%s\n' "$line"
                (cd "$box" && PATH=$box/bin:$PATH bash -c "${line#??}" 2>&1) || true
                ;;
            '```')
                printf '%s\n' "$line"
                block=
                ;;
            esac
            ;;
        esac
    done <"$1"
}

rewritten "$page" >"$WORK/now.md"
if [ "${1:-}" = --update ]; then
    cp "$WORK/now.md" "$page"
fi
is "docs/POLICY.md says what is printed (tests/integration/docs.sh --update)" '' \
    "$(diff "$page" "$WORK/now.md" || true)"
# README.md: what `review` prints is what comes of the policy that stands there before it.
readme=$root/README.md
awk '/^  \$ cat policy.yaml/ { on = 1; next } on && /^  \$ / { exit } on' "$readme" | sed 's/^    //' >"$WORK/readme.yaml"
is "README.md's review says what is printed" \
    "$("$NRW_BIN" review -p "$WORK/readme.yaml" "$root/tests/e2e/charts/rendered/api-plain.yaml")" \
    "$(awk '/^\$ helm template .* review -p policy.yaml -$/ { on = 1; next } /^```/ { on = 0 } on' "$readme")"
# Every finding that there is, is explained.
while read -r finding; do
    like "docs/POLICY.md explains $finding" "^### .*$finding" "$(cat "$page")"
done < <(sed -n 's/.*\[FINDING_[A-Z_]*\] = "\([A-Za-z]*\)",/\1/p' "$root/webhook/core/finding.c")
# A command that prints nothing explains nothing.
unlike "every example prints something" '^none$' "$(awk '/^\$ /{getline next_line; if (next_line == "```") print "none"}' "$page")"

# The table of docs/TESTING.md names checks, files and cases that are there.
table=$(sed -n '/^## Traps/,$p' "$root/docs/TESTING.md")
isnt "docs/TESTING.md has its table" '' "$table"
is "docs/TESTING.md quotes checks that are there" '' "$(grep -oE '"[^"]+"' <<<"$table" | tr -d '"' | while read -r name; do
    grep -rqF --include='*.sh' -- "$name" "$root/tests" || echo "$name"
done)"
# shellcheck disable=SC2016 # backquotes of Markdown
is "docs/TESTING.md names tests that are there" '' "$(grep -oE '`[^`]+`' <<<"$table" | tr -d '`' | while read -r name; do
    compgen -G "$root/tests/unit/$name.c" >/dev/null || compgen -G "$root/tests/integration/$name" >/dev/null ||
        compgen -G "$root/tests/e2e/scenarios/$name*.sh" >/dev/null || [ -e "$root/$name" ] || [ -e "$root/tests/cases/$name" ] ||
        grep -rqF -- "$name" "$root/tests" "$root/deploy/chart/templates" || echo "$name"
done)"
finish
