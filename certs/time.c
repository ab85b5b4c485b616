/* Times; see time.h. Pure. */
#include "certs/time.h"

#include <stdio.h>
#include <time.h>

#include "util/num.h"

bool cert_time_of(const ASN1_TIME *time, int64_t *ret_seconds)
{
    struct tm parts = {0};
    if (time == NULL || ASN1_TIME_to_tm(time, &parts) != 1)
        return false;
    *ret_seconds = (int64_t)timegm(&parts);
    return true;
}

const char *cert_time_text(int64_t seconds, char out[CERT_TIME_TEXT])
{
    struct tm parts = {0};
    time_t when = (time_t)seconds;
    if (gmtime_r(&when, &parts) == NULL ||
        strftime(out, CERT_TIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        snprintf(out, CERT_TIME_TEXT, "%lld", (long long)seconds);
    return out;
}

/* `count` digits at `at`, or -1. */
static int digits(struct str text, size_t at, size_t count)
{
    uint64_t value = 0;
    if (text.n < at + count || !num_parse(str_from(text.p + at, count), 9999, &value))
        return -1;
    return (int)value;
}

static bool is_at(struct str text, size_t at, char c)
{
    return at < text.n && text.p[at] == c;
}

static bool parse_date(struct str text, struct tm *parts)
{
    int year = digits(text, 0, 4);
    int month = digits(text, 5, 2);
    int day = digits(text, 8, 2);
    if (year < 0 || month < 1 || month > 12 || day < 1 || day > 31 ||
        !is_at(text, 4, '-') || !is_at(text, 7, '-'))
        return false;
    parts->tm_year = year - 1900;
    parts->tm_mon = month - 1;
    parts->tm_mday = day;
    return true;
}

static bool parse_clock(struct str text, struct tm *parts)
{
    parts->tm_hour = digits(text, 11, 2);
    parts->tm_min = digits(text, 14, 2);
    parts->tm_sec = digits(text, 17, 2);
    return is_at(text, 10, 'T') && is_at(text, 13, ':') && is_at(text, 16, ':') &&
           is_at(text, 19, 'Z') && text.n == 20 && parts->tm_hour >= 0 &&
           parts->tm_hour < 24 && parts->tm_min >= 0 && parts->tm_min < 60 &&
           parts->tm_sec >= 0 && parts->tm_sec < 60;
}

bool cert_time_parse(struct str text, int64_t *ret_seconds)
{
    uint64_t number = 0;
    if (num_parse(text, UINT64_C(253402300799), &number)) { /* the end of year 9999 */
        *ret_seconds = (int64_t)number;
        return true;
    }
    struct tm parts = {0};
    if (!parse_date(text, &parts) || (text.n != 10 && !parse_clock(text, &parts)))
        return false;
    int day = parts.tm_mday;
    time_t seconds = timegm(&parts);
    if (parts.tm_mday != day) /* the 31st of a month that has 30 days */
        return false;
    *ret_seconds = (int64_t)seconds;
    return true;
}
