/* kubeconfig text, the second half as a second file: no crash, and a success always comes
 * with a server that is a URL of ours. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "kube/kubeconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 1u << 16)
        return 0;
    struct str text = str_from((const char *)data, size);
    size_t half = size > 0 && data[0] == '#' ? size / 2 : size;
    struct kubeconfig_file files[] = {{"/a/config", str_first(text, half)},
                                      {"b", str_skip(text, half)}};
    struct kube_settings settings = {0};
    struct err err = {0};
    if (kubeconfig_parse(files, half < size ? 2 : 1, NULL, &settings, &err)) {
        if (settings.server == NULL || settings.context == NULL ||
            !str_starts(str_of(settings.server), STR("http")))
            abort();
    } else if (err.code == ERR_NONE || settings.server != NULL) {
        abort();
    }
    kube_settings_done(&settings);
    return 0;
}
