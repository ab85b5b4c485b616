package registryreference;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.LongAdder;
import tools.jackson.databind.JsonNode;

/**
 * Does what the webhook said about a case agree with what Spring does? Both ways: what is let through
 * must start and recognise exactly what the webhook says it does; every finding that denies must
 * claim something that is so.
 */
final class Judge {

    private final Reference reference;
    final Compact compact; // what differs from an empty environment
    private final Map<String, Map<String, Map<String, Object>>> base;
    private final Map<String, LongAdder> counts = new ConcurrentHashMap<>();

    Judge(Reference reference) {
        this.reference = reference;
        Map<String, Object> empty = reference.answer(input("nvcf", Map.of()));
        this.compact = new Compact(empty);
        this.base = Compact.index(empty);
    }

    private void count(String what) {
        counts.computeIfAbsent(what, key -> new LongAdder()).increment();
    }

    String statistics() {
        StringBuilder out = new StringBuilder();
        new TreeMap<>(counts).forEach((what, number) -> out
                .append(out.isEmpty() ? "" : ", ").append(what).append(' ').append(number));
        return out.toString();
    }

    /** What was asked before: parts of environments come again and again. Emptied when full. */
    private final Map<String, List<Reference.Reply>> known = new ConcurrentHashMap<>();

    private static final int KNOWN = 20_000;

    /** What Spring says of an environment, in every order of its names that may matter. */
    private List<Reference.Reply> replies(String service, Map<String, String> env) {
        String question = service + env;
        List<Reference.Reply> result = known.get(question);
        if (result == null) {
            result = new ArrayList<>();
            for (Map<String, String> order : Orders.of(service, env)) {
                result.add(reference.ask(input(service, order)));
                count("asked of Spring");
            }
            if (known.size() >= KNOWN) {
                known.clear();
            }
            known.put(question, result);
        }
        return result;
    }

    /** What the API does, each once. */
    List<Map<String, Object>> answers(String service, Map<String, String> env) {
        Map<String, Map<String, Object>> different = new LinkedHashMap<>();
        replies(service, env).forEach(
                reply -> different.putIfAbsent(compact.of(reply.answer()), reply.answer()));
        return List.copyOf(different.values());
    }

    /** What Spring puts into its maps, each once. */
    List<Bound> bounds(String service, Map<String, String> env) {
        Set<Bound> different = new LinkedHashSet<>();
        replies(service, env).forEach(reply -> different.add(reply.bound()));
        return List.copyOf(different);
    }

    static boolean starts(Map<String, Object> answer) {
        return Boolean.TRUE.equals(answer.get("starts"));
    }

    /** For people: all that Spring may say. */
    String opinions(String service, Map<String, String> env) {
        return String.join(" -- OR, in another order -- ",
                answers(service, env).stream().map(compact::of).toList());
    }

    private static Input input(String service, Map<String, String> env) {
        Map<String, Object> variables = new LinkedHashMap<>();
        StringBuilder remote = new StringBuilder();
        env.forEach((name, value) -> {
            if (name.startsWith(Generator.REMOTE)) {
                remote.append(quoted(name.substring(Generator.REMOTE.length()))).append(": ")
                        .append(quoted(value)).append('\n');
            } else {
                variables.put(name, value);
            }
        });
        return new Input(service, variables, Map.of(), List.of(),
                remote.isEmpty() ? null : remote.toString(), List.of());
    }

    private static String quoted(String text) {
        return "'" + text.replace("'", "''") + "'";
    }

    /** What Spring makes of the case's own environment. */
    String spring(Generator.Case one) {
        return opinions(one.service(), one.env());
    }

    /** Empty when they agree, else what is wrong. {@code effects}: what explain says, by variable. */
    String compare(Generator.Case one, JsonNode said, Map<String, String> effects) {
        String wrong = explained(one, effects);
        if (wrong.isEmpty()) {
            wrong = hosts(one, said.get("hosts"));
        }
        if (!wrong.isEmpty()) {
            return wrong;
        }
        return said.get("allowed").booleanValue() ? allowed(one, said) : denied(one, said);
    }

    // ---- what is said of each variable ----

    private String explained(Generator.Case one, Map<String, String> effects) {
        for (String variable : one.env().keySet()) {
            if (variable.startsWith(Generator.REMOTE)) {
                break;
            }
            String want = Variable.words(one.service(), variable);
            count("explained");
            if (!want.equals(effects.get(variable))) {
                return "explained as " + effects.get(variable) + ", but " + variable + ": " + want;
            }
        }
        return "";
    }

    private static boolean has(JsonNode findings, String name) {
        for (JsonNode finding : findings) {
            if (text(finding, "finding").equals(name)) {
                return true;
            }
        }
        return false;
    }

    static String text(JsonNode node, String field) {
        return node.get(field).stringValue();
    }

    static String uniform(String text) {
        return text.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]", "");
    }

    private static Map<String, String> env(JsonNode node) {
        Map<String, String> env = new LinkedHashMap<>();
        node.properties().forEach(e -> env.put(e.getKey(), e.getValue().stringValue()));
        return env;
    }

    /**
     * A host name is called good if and only if an image of it is looked up by just that. By the
     * project's own rule capitals, a dot at the end and IPv6 scopes are not good either: no image
     * reference has them.
     */
    private String hosts(Generator.Case one, JsonNode said) {
        int i = 0;
        for (String host : one.hosts()) {
            boolean got = said.get(i++).booleanValue();
            boolean want = !host.isBlank() && host.equals(lookup(host + "/org/image:tag"))
                    && host.equals(host.toLowerCase(Locale.ROOT)) && !host.endsWith(".")
                    && host.indexOf('%') < 0;
            count("host names");
            if (got != want) {
                return "host name called " + (got ? "good" : "bad") + ": \"" + host + "\"";
            }
        }
        return "";
    }

    // ---- what is let through ----

    private String allowed(Generator.Case one, JsonNode said) {
        JsonNode findings = said.get("validate");
        if (has(findings, "OpaqueSource")) {
            count("opaque");
            return "";
        }
        count("let through");
        List<Map<String, Object>> answers = answers(one.service(), env(said.get("env")));
        if (answers.size() > 1) {
            count("let through, order matters");
        }
        return answers.stream().map(answer -> holds(one, findings, answer))
                .filter(wrong -> !wrong.isEmpty()).findFirst().orElse("");
    }

    /** What the webhook says of a thing let through is so in this answer. */
    @SuppressWarnings("unchecked")
    private String holds(Generator.Case one, JsonNode findings, Map<String, Object> answer) {
        if (!starts(answer)) {
            return "let through, but " + compact.of(answer);
        }
        Map<String, Map<String, Map<String, Object>>> now = Compact.index(answer);
        Map<String, Object> listed = (Map<String, Object>) one.policy().get("registries");
        for (String type : Registries.TYPES) {
            for (Map.Entry<String, Map<String, Object>> entry : now.get(type).entrySet()) {
                Map<String, Object> before = base.get(type).get(entry.getKey());
                String wrong = before != null
                        ? builtIn(type, before, entry.getValue())
                        : custom(type, entry.getValue(), listed, findings, one);
                if (!wrong.isEmpty()) {
                    return wrong;
                }
            }
        }
        return everythingThere(listed, findings, now);
    }

    private static String builtIn(String type, Map<String, Object> before,
            Map<String, Object> now) {
        for (String property : List.of("name", "hostname", "entryHostname")) {
            if (!Objects.equals(before.get(property), now.get(property))) {
                return "let through, but the " + property + " of the built-in " + type + " "
                        + now.get("key") + " becomes \"" + now.get(property) + "\"";
            }
        }
        return "";
    }

    private static String custom(String type, Map<String, Object> registry,
            Map<String, Object> listed, JsonNode findings, Generator.Case one) {
        String key = uniform((String) registry.get("key"));
        if (!type.equals("container")) {
            return Boolean.TRUE.equals(registry.get("known"))
                    || said(findings, "UnsupportedArtifactType", key) ? ""
                    : "let through without a word about the new " + type + " registry " + key;
        }
        if (isAsListed(listed, registry) || Boolean.TRUE.equals(registry.get("known"))
                || said(findings, "UnlistedRegistry", key)
                || one.policy().get("unlisted").equals("Allow")) {
            return "";
        }
        return "let through without a word about the registry " + registry.get("key");
    }

    /** It is one of the policy's, with its values. */
    @SuppressWarnings("unchecked")
    private static boolean isAsListed(Map<String, Object> listed, Map<String, Object> registry) {
        return listed.entrySet().stream().anyMatch(entry -> {
            Map<String, String> want = (Map<String, String>) entry.getValue();
            return uniform(entry.getKey()).equals(uniform((String) registry.get("key")))
                    && want.get("name").equals(registry.get("name"))
                    && want.get("hostname").equals(registry.get("hostname"));
        });
    }

    private static boolean said(JsonNode findings, String name, String key) {
        for (JsonNode finding : findings) {
            if (text(finding, "finding").equals(name)
                    && uniform(text(finding, "key")).equals(key)) {
                return true;
            }
        }
        return false;
    }

    /** What the webhook says is there is there: the policy's registries, and the unlisted ones. */
    private String everythingThere(Map<String, Object> listed, JsonNode findings,
            Map<String, Map<String, Map<String, Object>>> now) {
        Map<String, Map<String, Object>> there = now.get("container");
        for (Map.Entry<String, Object> entry : listed.entrySet()) {
            Map<String, Object> only = Map.of(entry.getKey(), entry.getValue());
            if (there.values().stream().noneMatch(registry -> isAsListed(only, registry))) {
                return "let through, but the policy's " + entry.getKey() + " is not among "
                        + there.keySet();
            }
        }
        for (JsonNode finding : findings) {
            if (text(finding, "finding").equals("UnlistedRegistry")
                    && text(finding, "severity").equals("warning")
                    && there.keySet().stream().noneMatch(
                            key -> uniform(key).equals(uniform(text(finding, "key"))))) {
                return "said to be recognised, but is not: " + text(finding, "key");
            }
        }
        return matching(now);
    }

    /** Every custom registry of a thing let through matches images of its host. */
    private String matching(Map<String, Map<String, Map<String, Object>>> now) {
        for (Map<String, Object> registry : now.get("container").values()) {
            String host = (String) registry.get("hostname");
            if (base.get("container").containsKey(registry.get("key"))) {
                continue;
            }
            if (!host.equals(lookup(host + "/org/image:tag"))) {
                return "let through, but no image of \"" + host + "\" is found";
            }
        }
        return "";
    }

    static String lookup(String image) {
        try {
            String host = ImageHost.of(image);
            return host == null ? null
                    : ImageHost.normalise(host, "nvcr.io", "helm.ngc.nvidia.com",
                            "api.ngc.nvidia.com");
        } catch (IllegalArgumentException e) {
            return null;
        }
    }

    // ---- what is denied ----

    private String denied(Generator.Case one, JsonNode said) {
        count("denied");
        if (said.has("validate")) {
            return "let through by /mutate, and then denied by /validate";
        }
        if (Orders.of(one.service(), one.env()).size() > 1
                && answers(one.service(), one.env()).size() > 1) {
            count("denied, order matters");
        }
        Claims claims = new Claims(this, one, said.get("findings"));
        int errors = 0;
        for (JsonNode finding : said.get("findings")) {
            if (!text(finding, "severity").equals("error")) {
                continue;
            }
            errors++;
            count(text(finding, "finding"));
            String wrong = claims.wrong(finding);
            if (!wrong.isEmpty()) {
                return wrong;
            }
        }
        return errors == 0 ? "denied without a reason" : "";
    }
}
