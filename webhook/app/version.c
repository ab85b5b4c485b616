/* What this build is; see version.h. The Makefile gives version and commit, and compiles
 * this file again when the commit changes. */
#include "app/version.h"

#include <curl/curl.h>
#include <jansson.h>
#include <microhttpd.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <yaml.h>

#ifndef NRW_VERSION
#define NRW_VERSION "0.0.0"
#endif
#ifndef NRW_COMMIT
#define NRW_COMMIT "unknown"
#endif

const char version_number[] = NRW_VERSION;
const char version_commit[] = NRW_COMMIT;

static struct version_part part(const char *name, const char *number)
{
    struct version_part made = {.name = name};
    snprintf(made.number, sizeof(made.number), "%s", number != NULL ? number : "");
    return made;
}

void version_libraries(struct version_part parts[VERSION_PARTS])
{
    const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
    parts[0] = part("openssl", OpenSSL_version(OPENSSL_VERSION_STRING));
    parts[1] = part("libmicrohttpd", MHD_get_version());
    parts[2] = part("libcurl", curl->version);
    parts[3] = part("jansson", jansson_version_str());
    parts[4] = part("libyaml", yaml_get_version_string());
}

void version_json(struct buf *out)
{
    struct version_part parts[VERSION_PARTS];
    version_libraries(parts);
    buf_text(out, "{\"version\":");
    buf_json_string(out, str_of(version_number));
    buf_text(out, ",\"commit\":");
    buf_json_string(out, str_of(version_commit));
    buf_text(out, ",\"libraries\":{");
    for (size_t i = 0; i < VERSION_PARTS; i++) {
        buf_text(out, i > 0 ? "," : "");
        buf_json_string(out, str_of(parts[i].name));
        buf_char(out, ':');
        buf_json_string(out, str_of(parts[i].number));
    }
    buf_text(out, "}}\n");
}
