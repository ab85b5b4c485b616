/* JSON as YAML for people: block style, keys in their order, texts quoted only where they
 * must be (as sigs.k8s.io/yaml would read them back), long ones as literal blocks. Any
 * thread; no state. */
#ifndef NRW_POLICY_YAML_WRITE_H
#define NRW_POLICY_YAML_WRITE_H

#include <jansson.h>

#include "util/buf.h"
#include "util/err.h"

/* Appends one document, without "---". ERR_NOMEM, ERR_LIMIT (the buffer's maximum). */
bool yaml_write(const json_t *json, struct buf *out, struct err *err);

#endif
