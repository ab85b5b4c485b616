# peers.tsv (case, subject, measure, unit, round, value) to the section of RESULTS.md.
{
    key = $1 SUBSEP $2 SUBSEP $3
    values[key, ++n[key]] = $6 + 0
    if ($3 == "others_busy")
        values["others", ++n["others"]] = $6 + 0
}

function sorted(key,    i, j, t) {
    for (i = 1; i <= n[key]; i++) {
        t = values[key, i]
        for (j = i - 1; j > 0 && s[j] > t; j--)
            s[j + 1] = s[j]
        s[j + 1] = t
    }
}

function median(c, who, m,    key) {
    key = c SUBSEP who SUBSEP m
    sorted(key)
    return n[key] == 0 ? 0 : n[key] % 2 ? s[(n[key] + 1) / 2] : (s[n[key] / 2] + s[n[key] / 2 + 1]) / 2
}

# median (least–most)
function cell(c, who, m, scale, digits,    key, mid, f) {
    key = c SUBSEP who SUBSEP m
    mid = median(c, who, m)
    f = "%." digits "f"
    if (n[key] == 1)
        return sprintf(f, mid / scale)
    return sprintf(f " (" f "–" f ")", mid / scale, s[1] / scale, s[n[key]] / scale)
}

function line(what, c, m, scale, digits) {
    printf "| %s | %s | %s | %s |\n", what, cell(c, "ours", m, scale, digits), \
        cell(c, "controller-runtime", m, scale, digits), cell(c, "net/http", m, scale, digits)
}

# bound: the ratio to controller-runtime that is wanted; more: whether it is a least one
function target(what, c, m, bound, text, more,    ratio, good) {
    if (median(c, "controller-runtime", m) == 0)
        return
    ratio = median(c, "ours", m) / median(c, "controller-runtime", m)
    good = more ? ratio >= bound : ratio <= bound
    printf "| %s | %s | %s | %s |\n", what, text, more ? sprintf("%.1f times", ratio) : sprintf("1/%.1f", 1 / ratio), \
        good ? "met" : c == "saturation-fresh" && m == "per_second" && generator_bound() ? \
            "not shown: the generator was full first" : sprintf("**missed** by %.1f %%", 100 * (more ? bound / ratio - 1 : ratio / bound - 1))
}

END {
    print "## The server against peers\n"
    printf "One AdmissionReview of %d bytes (an UPDATE, to be patched with four variables), again and again over TLS 1.3\n", bytes
    print "with the same ECDSA P-256 certificate, AES-128-GCM and X25519. The server has one core and the generator"
    printf "(bench/load.c) the other. Medians of %d interleaved rounds of %d s in each case (least–most); every answer\n", rounds, seconds
    printf "looked at. Ours: %s; it writes a log line for each admission, the peers write none.\n", kind
    printf "Peers: %s, controller-runtime %s, stripped; what they leave out: bench/peers/README.md.\n\n", go, cr
    print "| | ours | controller-runtime | net/http |"
    print "|---|---|---|---|"
    line("CPU per request, connections kept, µs", "saturation-kept", "cpu", 1, 1)
    line("CPU per request, a handshake each, µs", "saturation-fresh", "cpu", 1, 1)
    line("CPU per request at 200/s, µs", "200-kept", "cpu", 1, 1)
    line("requests/s, saturated, kept (16)", "saturation-kept", "per_second", 1, 0)
    line("requests/s, saturated, a handshake each (16)", "saturation-fresh", "per_second", 1, 0)
    if (half())
        line("requests/s, saturated, a handshake each (16), half a core", "saturation-half", "per_second", 1, 0)
    line("200/s, kept: p50, µs", "200-kept", "p50", 1, 0)
    line("200/s, kept: p99, µs", "200-kept", "p99", 1, 0)
    line("1000/s, kept: p50, µs", "1000-kept", "p50", 1, 0)
    line("1000/s, kept: p99, µs", "1000-kept", "p99", 1, 0)
    line("200/s, a handshake each: p50, µs", "200-fresh", "p50", 1, 0)
    line("200/s, a handshake each: p99, µs", "200-fresh", "p99", 1, 0)
    line("resident, idle, MiB", "memory", "rss_idle", 1024, 1)
    line("resident, after the load, MiB", "memory", "rss_loaded", 1024, 1)
    line("exec to first answer, ms", "start", "exec_to_answer", 1, 1)
    line("image, MB (the peers' program alone)", "size", "image", 1000000, 2)
    line("saturated, kept: the server's core is busy, %", "saturation-kept", "server_busy", 0.01, 0)
    line("saturated, kept: the generator's core, %", "saturation-kept", "generator_busy", 0.01, 0)
    line("saturated, handshakes: the server's core, %", "saturation-fresh", "server_busy", 0.01, 0)
    line("saturated, handshakes: the generator's core, %", "saturation-fresh", "generator_busy", 0.01, 0)
    if (half()) {
        line("saturated, handshakes, half a core: the server's core, %", "saturation-half", "server_busy", 0.01, 0)
        line("saturated, handshakes, half a core: the generator's core, %", "saturation-half", "generator_busy", 0.01, 0)
    }
    print "\nAt fixed rates a request's time counts from when it was due. A client's part of a handshake costs more than ours:"
    print "with a handshake each the generator's core is full before our server's, and requests/s is what the generator can do."
    if (half())
        print "Throughput is therefore compared where every server has half a core (a quota of 5 ms in 10), and not the generator."
    printf "At fixed rates the generator was itself late by %.0f µs at most (p99); everything\n", late()
    printf "else on the machine took %.0f %% of a core in the median, %.0f %% at most.\n\n", 100 * others(0.5), 100 * others(1)
    print "| against controller-runtime | target | measured | |"
    print "|---|---|---|---|"
    target("CPU per request, kept", "saturation-kept", "cpu", 1 / 3, "at most 1/3", 0)
    target("CPU per request, a handshake each", "saturation-fresh", "cpu", 1 / 3, "at most 1/3", 0)
    target("saturated throughput, kept", "saturation-kept", "per_second", 3, "at least 3 times", 1)
    target("saturated throughput, a handshake each, " (half() ? "half a core" : "what the generator can do"), \
        half() ? "saturation-half" : "saturation-fresh", "per_second", 3, "at least 3 times", 1)
    target("p99 at 200/s, kept", "200-kept", "p99", 1, "below", 0)
    target("p99 at 1000/s, kept", "1000-kept", "p99", 1, "below", 0)
    target("p99 at 200/s, a handshake each", "200-fresh", "p99", 1, "below", 0)
    target("resident, idle", "memory", "rss_idle", 1 / 4, "at most 1/4", 0)
    target("resident, after the load", "memory", "rss_loaded", 1 / 4, "at most 1/4", 0)
    target("exec to first answer", "start", "exec_to_answer", 1 / 5, "at most 1/5", 0)
    target("image", "size", "image", 1 / 5, "at most 1/5", 0)
}

# Whether the generator was full before our server was, with a handshake each.
function generator_bound() {
    return median("saturation-fresh", "ours", "generator_busy") > median("saturation-fresh", "ours", "server_busy")
}

# Whether there were control groups to be had.
function half() {
    return n["saturation-half" SUBSEP "ours" SUBSEP "per_second"] > 0
}

function others(share) {
    sorted("others")
    share = s[int((n["others"] - 1) * share) + 1]
    return share > 0 ? share : 0 # two clocks, one of them in ticks
}

function late(    most, i, c, w, m) {
    split("200-kept 1000-kept 200-fresh", c, " ")
    split("ours controller-runtime net/http", w, " ")
    for (i = 1; i <= 9; i++) {
        m = median(c[int((i - 1) / 3) + 1], w[(i - 1) % 3 + 1], "lag99")
        if (m > most)
            most = m
    }
    return most
}
