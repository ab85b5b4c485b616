# results.tsv of the part "growth" to an SVG: medians over the number of things, both axes
# logarithmic, and a line of slope 1 to compare with.
#   awk -f bench/plot.awk bench/results.tsv >docs/growth.svg
BEGIN {
    FS = "\t"
    width = 720; height = 440; left = 70; right = 170; top = 40; bottom = 50
    colour["registries"] = "#0072b2"; colour["containers"] = "#009e73"
    colour["variables"] = "#d55e00"; colour["declaring"] = "#cc79a7"
    label["registries"] = "registries in the policy"; label["containers"] = "containers"
    label["variables"] = "variables"; label["declaring"] = "variables that declare"
    order = "registries containers variables declaring"
    x_decades = 4; y_low = 1; y_decades = 4 # 1 to 10,000; 10 µs to 100 ms
}

$1 == "growth" && $4 == "answer" {
    count[$2]++
    value[$2, count[$2]] = $7
}

function median(name,    i, k, n, swap, sorted) {
    n = count[name]
    for (i = 1; i <= n; i++) sorted[i] = value[name, i]
    for (i = 2; i <= n; i++)
        for (k = i; k > 1 && sorted[k] + 0 < sorted[k - 1] + 0; k--) {
            swap = sorted[k]; sorted[k] = sorted[k - 1]; sorted[k - 1] = swap
        }
    return sorted[int((n + 1) / 2)]
}
function x(n) { return left + (width - left - right) * log(n) / log(10) / x_decades }
function y(us) {
    return height - bottom - (height - top - bottom) * (log(us) / log(10) - y_low) / y_decades
}
function text(at_x, at_y, anchor, what, extra) {
    printf "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"%s>%s</text>\n", at_x, at_y, anchor, extra, what
}
function line(x1, y1, x2, y2, style) {
    printf "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n", x1, y1, x2, y2, style
}
function time(us) { return us < 1000 ? us " µs" : us / 1000 " ms" }

END {
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" ", width, height, width, height
    print "font-family=\"sans-serif\" font-size=\"12\" fill=\"#333\" role=\"img\">"
    print "<title>Time of an answer as registries, containers and variables grow</title>"
    printf "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n", width, height
    text(left, 22, "start", "Bytes of a review to bytes of the answer, median", " font-size=\"15\"")
    for (i = 0; i <= x_decades; i++) {
        line(x(10 ^ i), y(10 ^ y_low), x(10 ^ i), y(10 ^ (y_low + y_decades)), "stroke=\"#ddd\"")
        text(x(10 ^ i), height - bottom + 18, "middle", 10 ^ i, "")
    }
    for (i = y_low; i <= y_low + y_decades; i++) {
        line(x(1), y(10 ^ i), x(10 ^ x_decades), y(10 ^ i), "stroke=\"#ddd\"")
        text(left - 8, y(10 ^ i) + 4, "end", time(10 ^ i), "")
    }
    text((left + width - right) / 2, height - 12, "middle", "how many", "")
    line(x(1), y(10), x(10 ^ x_decades), y(10 ^ (x_decades + 1)), "stroke=\"#999\" stroke-dasharray=\"5 5\"")
    text(x(1000) - 8, y(10000), "end", "linear", " fill=\"#777\"")
    n = split(order, series, " ")
    split("1 10 16 100 256 1000 10000", numbers, " ")
    for (s = 1; s <= n; s++) {
        points = ""; last_x = 0
        for (i = 1; i in numbers; i++) {
            name = series[s] ":" numbers[i]
            if (!(name in count)) continue
            last_x = x(numbers[i]); last_y = y(median(name))
            points = points sprintf("%.1f,%.1f ", last_x, last_y)
            printf "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>\n", last_x, last_y, colour[series[s]]
        }
        if (last_x == 0) continue
        printf "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>\n", points, colour[series[s]]
        text(last_x + 8, last_y - 4, "start", label[series[s]], " fill=\"" colour[series[s]] "\"")
    }
    print "</svg>"
}
