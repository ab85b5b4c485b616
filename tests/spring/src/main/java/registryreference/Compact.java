package registryreference;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;

/** An answer in a line for people: only what differs from an empty environment's. */
final class Compact {

    private final Map<String, Map<String, Map<String, Object>>> base;

    Compact(Map<String, Object> emptyAnswer) {
        base = index(emptyAnswer);
    }

    @SuppressWarnings("unchecked")
    static Map<String, Map<String, Map<String, Object>>> index(Map<String, Object> answer) {
        Map<String, Map<String, Map<String, Object>>> result = new LinkedHashMap<>();
        ((Map<String, List<Map<String, Object>>>) answer.get("registries")).forEach((type, list) -> {
            Map<String, Map<String, Object>> byKey = new LinkedHashMap<>();
            list.forEach(one -> byKey.put((String) one.get("key"), one));
            result.put(type, byKey);
        });
        return result;
    }

    String of(Map<String, Object> answer) {
        if (!Boolean.TRUE.equals(answer.get("starts"))) {
            return failure(answer);
        }
        List<String> parts = new ArrayList<>();
        index(answer).forEach((type, registries) -> {
            Set<String> keys = new TreeSet<>(base.get(type).keySet());
            keys.addAll(registries.keySet());
            keys.forEach(key -> compare(type, key, base.get(type).get(key), registries.get(key),
                    parts));
        });
        images(answer, parts);
        return parts.isEmpty() ? "starts, nothing changed" : "starts: " + String.join("; ", parts);
    }

    private static void compare(String type, String key, Map<String, Object> before,
            Map<String, Object> after, List<String> parts) {
        String where = (type.equals("container") ? "" : type + " ");
        if (before == null) {
            parts.add(where + (Boolean.TRUE.equals(after.get("known")) ? "native " : "new ") + key
                    + " \"" + after.get("name") + "\" at \"" + after.get("hostname") + "\""
                    + (after.get("callTimeout") == null ? ""
                            : ", callTimeout " + after.get("callTimeout")));
        } else if (after == null) {
            parts.add(where + key + " is gone");
        } else {
            after.forEach((property, value) -> {
                if (!Objects.equals(value, before.get(property))) {
                    parts.add(where + key + " " + property + " becomes "
                            + (value instanceof String ? "\"" + value + "\"" : value));
                }
            });
        }
    }

    @SuppressWarnings("unchecked")
    private static void images(Map<String, Object> answer, List<String> parts) {
        if (answer.get("images") == null) {
            return;
        }
        for (Map<String, Object> image : (List<Map<String, Object>>) answer.get("images")) {
            String text = image.get("image") + " is ";
            if (image.get("error") != null) {
                text += "no URI";
            } else if (image.get("host") == null) {
                text += "without host";
            } else {
                text += "host " + image.get("host");
                if (!image.get("host").equals(image.get("lookup"))) {
                    text += ", looked up as " + image.get("lookup");
                }
            }
            parts.add(text + ", registry "
                    + (image.get("registry") == null ? "none" : "\"" + image.get("registry") + "\""));
        }
    }

    private static String failure(Map<String, Object> answer) {
        String kind = (String) answer.get("kind");
        String text = "fails: " + kind;
        if (kind.equals("validation")) {
            text += " " + answer.get("fields");
        } else if (kind.equals("duplicate")) {
            text += " " + answer.get("by") + " among " + answer.get("type");
        } else if (answer.get("property") != null) {
            text += " of " + answer.get("property");
        } else {
            text += " " + answer.get("exception");
        }
        return text;
    }
}
