# Rows of attack.tsv (case, subject, measure, unit, round, value) -> the section of RESULTS.md.
# Needs rate, seconds, rounds, review (bytes).
function add(key, value) { list[key] = list[key] (list[key] == "" ? "" : " ") value }
function median(key, n, v, i, j, t) {
    n = split(list[key], v, " ")
    for (i = 2; i <= n; i++) {
        t = v[i] + 0
        for (j = i - 1; j > 0 && v[j] + 0 > t; j--) v[j + 1] = v[j]
        v[j + 1] = t
    }
    least = v[1]
    most = v[n]
    return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}
function sum(key, n, v, i, s) {
    n = split(list[key], v, " ")
    for (i = 1; i <= n; i++) s += v[i]
    return s + 0
}
function figure(key, m) {
    m = median(key)
    return sprintf("%.0f (%.0f–%.0f)", m, least, most)
}
function seen(name, text, i, n, part, status, total, order, k) {
    text = sum(name SUBSEP "opened") " connections, " sum(name SUBSEP "ended") " ended"
    if (sum(name SUBSEP "alerts") > 0) text = text ", " sum(name SUBSEP "alerts") " alerts"
    n = split(list[name, "answers"], part, /[ ,]/)
    for (i = 1; i <= n; i++) {
        if (split(part[i], status, ":") < 2) continue
        if (!(status[1] in total)) order[++k] = status[1]
        total[status[1]] += status[2]
    }
    for (i = 1; i <= k; i++) text = text ", " order[i] " × " total[order[i]]
    return text
}
!($1 in known) { known[$1] = 1; cases[++count] = $1 }
$2 == "before" || $2 == "after" { add($1 SUBSEP "alone" SUBSEP $3, $6) }
$2 == "attacked" { add($1 SUBSEP "attacked" SUBSEP $3, $6) }
$2 == "attacker" { add($1 SUBSEP $3, $6) }
END {
    print "## Good clients beside attacks\n"
    print "The server has one core and one worker. Good clients have the other: " rate " reviews/s of " review " bytes, due at"
    print "fixed times, on four connections that are kept; the attacker shares that core and only gets what they leave, so"
    print "that what counts is what the server spends on it, not what it computes itself. Each measurement " seconds " s, " rounds " rounds;"
    print "alone: before and after the attack. p99 in microseconds, from when a request was due: the median"
    print "(least–most). Seen: by the attacker, in all rounds, with what it connected anew; ended: by the server. Memory:"
    print "the highest of the process (VmHWM) during the attack. `compute` connects to nobody: what the shared machine adds.\n"
    print "| attack | seen | good requests, failed | p99 alone | p99 attacked | ratio | the server's core is busy, % | memory, MiB |"
    print "|---|---|---|---|---|---|---|---|"
    for (c = 1; c <= count; c++) {
        name = cases[c]
        alone = median(name SUBSEP "alone" SUBSEP "p99")
        with = median(name SUBSEP "attacked" SUBSEP "p99")
        ratio = alone > 0 ? with / alone : 0

        printf "| %s | %s | %d, %d | %s | %s | %s | %.0f | %.0f |\n", name, name == "compute" ? "–" : seen(name),
            sum(name SUBSEP "attacked" SUBSEP "completed"),
            sum(name SUBSEP "attacked" SUBSEP "failed") + sum(name SUBSEP "attacked" SUBSEP "unanswered"),
            figure(name SUBSEP "alone" SUBSEP "p99"), figure(name SUBSEP "attacked" SUBSEP "p99"),
            sprintf(ratio > 2 ? "**%.1f**" : "%.1f", ratio),
            median(name SUBSEP "attacked" SUBSEP "server_busy") * 100, most_of(name) / 1024
        if (name == "compute") continue
        all++
        if (ratio <= 2) kept++
        else above = above (above == "" ? "" : ", ") name
    }
    printf "\nTarget: p99 within twice what it is without. Kept in %d of %d", kept, all
    print above == "" ? "." : "; above it: " above "."
}
function most_of(name) {
    median(name SUBSEP "attacked" SUBSEP "rss_highest")
    return most
}
