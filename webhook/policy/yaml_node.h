/* YAML text as a tree whose nodes know their line and column. libyaml reads (its event
 * interface); the tree, the limits and the messages are ours. Everything lives in the
 * arena that the caller gives. Any thread; no state.
 *
 * What a scalar means (number, boolean …) is asked with yaml_resolve(), so that the
 * policy, manifests and the remote configuration can each read it their own way. */
#ifndef NRW_POLICY_YAML_NODE_H
#define NRW_POLICY_YAML_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/arena.h"
#include "util/err.h"
#include "util/str.h"

enum yaml_kind { NODE_SCALAR, NODE_SEQUENCE, NODE_MAPPING, NODE_ALIAS };
enum yaml_style { STYLE_PLAIN, STYLE_QUOTED, STYLE_LITERAL, STYLE_FOLDED };

struct yaml_node {
    enum yaml_kind kind;
    enum yaml_style style; /* of a scalar */
    unsigned line, column; /* from 1; columns count characters */
    struct str text;       /* a scalar's value, an alias' name */
    struct str tag;        /* as libyaml expands it; "" when none is written */
    struct str anchor;     /* "" when none */
    struct yaml_node *next;
    struct yaml_node *child; /* first item, or first key: key, value, key, value … */
    size_t count;            /* items, or pairs */
    size_t number;           /* of the stream's nodes, from 1 */
    const struct yaml_node *target;       /* an alias': the node it names */
    const struct yaml_node *duplicate_of; /* a key's: the same key, earlier in its map */
};

struct yaml_limits {
    size_t bytes;     /* of the text */
    size_t nodes;     /* of the tree; of the JSON too, after aliases are written out */
    size_t depth;     /* at most YAML_MAX_DEPTH */
    size_t documents; /* per text */
    size_t anchors;   /* per document */
    bool any_keys;    /* which keys are equal, the reader decides: no duplicate_of */
};
#define YAML_MAX_DEPTH 128u

/* Where the text begins in the file that a person edits: added to every line and column.
 * {0, 0} for a text that is the file. */
struct yaml_offset {
    unsigned lines, columns;
};

struct yaml_problem {
    enum err_code code;    /* ERR_SYNTAX, ERR_LIMIT, ERR_NOMEM */
    unsigned line, column; /* 0 when it is about the whole text */
    struct str message;    /* one line; in the arena, or a literal */
    struct str advice;     /* may be "" */
};

struct yaml_stream {
    struct arena_list documents; /* of struct yaml_node *: the roots */
    size_t nodes;                /* in all */
};

/* False: `ret_problem` says why. An empty text is a stream without documents; an empty
 * document has a root that is a plain scalar "". */
bool yaml_parse(struct arena *arena, struct str text, const struct yaml_limits *limits,
                struct yaml_offset offset, struct yaml_stream *ret_stream,
                struct yaml_problem *ret_problem);

static inline size_t yaml_document_count(const struct yaml_stream *stream)
{
    return stream->documents.count;
}
static inline const struct yaml_node *yaml_document(const struct yaml_stream *stream,
                                                    size_t i)
{
    return ((struct yaml_node *const *)stream->documents.items)[i];
}
/* The value of a plain or quoted scalar key in a mapping, or NULL. Does not look through
 * aliases and merge keys. */
const struct yaml_node *yaml_get(const struct yaml_node *mapping, struct str key);

enum yaml_type {
    TYPE_NULL,
    TYPE_BOOL,
    TYPE_INTEGER,
    TYPE_REAL,
    TYPE_STRING,
    TYPE_BAD, /* a tag that does not fit the text, or that we do not know */
};

struct yaml_value {
    enum yaml_type type;
    bool boolean;
    int64_t integer;
    double real;
};

/* What a scalar means to Kubernetes (YAML 1.1 as sigs.k8s.io/yaml reads it): yes, on, y
 * are booleans; 0x1f, 0b1, 017 and 0o17 are integers; 1_000 too; dates are strings; a
 * quoted text is a string. */
struct yaml_value yaml_resolve(const struct yaml_node *scalar);

/* True for no tag and for the tags of YAML's core: str, int, float, bool, null, map, seq.
 */
bool yaml_tag_is_core(const struct yaml_node *node);
/* A plain `<<`. */
bool yaml_is_merge_key(const struct yaml_node *key);

#endif
