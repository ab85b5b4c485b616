/* The text of a remote configuration before libyaml sees it. Pure. */
#ifndef NRW_POLICY_REMOTE_TEXT_H
#define NRW_POLICY_REMOTE_TEXT_H

#include "util/arena.h"
#include "util/str.h"

/* SnakeYAML, which is Spring's reader, puts up with some things that libyaml refuses. The
 * text without them, or itself when it has none; lines stay where they are:
 * - "\ud83d\ude00" is one character, and half a pair alone U+FFFD. Elsewhere than in
 *   double quotes the escape means itself; there it is written out as well, since no name
 *   of a registry has one.
 * - Directives of other versions or names than libyaml knows become comments (not %TAG).
 * - A byte order mark within the text becomes U+FFFD: it is part of a name there, and as
 *   invisible to Spring. */
struct str remote_text_for_libyaml(struct arena *arena, struct str text);

#endif
