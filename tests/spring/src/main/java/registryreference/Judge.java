package registryreference;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
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
    private final Compact compact; // what differs from an empty environment
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
    private final Map<String, List<Map<String, Object>>> known = new ConcurrentHashMap<>();

    private static final int KNOWN = 50_000;

    /** What Spring says of an environment, in every order of its names that may matter. */
    private List<Map<String, Object>> answers(String service, Map<String, String> env) {
        String question = service + env;
        List<Map<String, Object>> result = known.get(question);
        if (result == null) {
            result = new ArrayList<>();
            Set<String> different = new HashSet<>();
            for (Map<String, String> order : Orders.of(service, env)) {
                Map<String, Object> answer = reference.answer(input(service, order));
                count("asked of Spring");
                if (different.add(compact.of(answer))) {
                    result.add(answer);
                }
            }
            if (known.size() >= KNOWN) {
                known.clear();
            }
            known.put(question, result);
        }
        return result;
    }

    private static boolean starts(Map<String, Object> answer) {
        return Boolean.TRUE.equals(answer.get("starts"));
    }

    /** In every order. */
    private boolean starts(String service, Map<String, String> env) {
        return answers(service, env).stream().allMatch(Judge::starts);
    }

    /** For people: all that Spring may say. */
    private String opinions(String service, Map<String, String> env) {
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

    private static String text(JsonNode node, String field) {
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
        if (listedKey(listed, key) != null || Boolean.TRUE.equals(registry.get("known"))
                || said(findings, "UnlistedRegistry", key)
                || one.policy().get("unlisted").equals("Allow")) {
            return "";
        }
        return "let through without a word about the registry " + registry.get("key");
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

    private static String listedKey(Map<String, Object> listed, String key) {
        return listed.keySet().stream().filter(k -> uniform(k).equals(key)).findFirst()
                .orElse(null);
    }

    /** What the webhook says is there is there: the policy's registries, and the unlisted ones. */
    @SuppressWarnings("unchecked")
    private String everythingThere(Map<String, Object> listed, JsonNode findings,
            Map<String, Map<String, Map<String, Object>>> now) {
        Map<String, Map<String, Object>> byKey = new HashMap<>();
        now.get("container").forEach((key, value) -> byKey.put(uniform(key), value));
        for (Map.Entry<String, Object> entry : listed.entrySet()) {
            Map<String, String> want = (Map<String, String>) entry.getValue();
            Map<String, Object> got = byKey.get(uniform(entry.getKey()));
            if (got == null || !want.get("name").equals(got.get("name"))
                    || !want.get("hostname").equals(got.get("hostname"))) {
                return "let through, but the policy's " + entry.getKey() + " is " + got;
            }
        }
        for (JsonNode finding : findings) {
            if (text(finding, "finding").equals("UnlistedRegistry")
                    && text(finding, "severity").equals("warning")
                    && !byKey.containsKey(uniform(text(finding, "key")))) {
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

    private static String lookup(String image) {
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

    private static final Set<String> POLICY_MATTERS = Set.of("ValueConflict", "MissingRegistry",
            "UnlistedRegistry", "RemoteConfigOverride");

    private String denied(Generator.Case one, JsonNode said) {
        count("denied");
        if (Orders.of(one.service(), one.env()).size() > 1
                && answers(one.service(), one.env()).size() > 1) {
            count("denied, order matters");
        }
        int errors = 0;
        JsonNode findings = said.has("validate") ? said.get("validate") : said.get("findings");
        for (JsonNode finding : findings) {
            if (!text(finding, "severity").equals("error")) {
                continue;
            }
            errors++;
            count(text(finding, "finding"));
            String wrong = claim(one, finding);
            if (!wrong.isEmpty()) {
                return wrong;
            }
        }
        return errors == 0 ? "denied without a reason" : "";
    }

    private String claim(Generator.Case one, JsonNode finding) {
        String name = text(finding, "finding");
        if (POLICY_MATTERS.contains(name)) {
            return name.equals("UnlistedRegistry") ? unlisted(one, finding) : "";
        }
        Map<String, String> env = withPolicy(one);
        boolean true_ = switch (name) {
            case "BuiltinCollision" -> collides(one, env, finding);
            case "DuplicateName" -> fails(one, env, finding, "duplicate", "name")
                    || hiddenDuplicate(one, env, finding, "name");
            case "DuplicateHostname" -> fails(one, env, finding, "duplicate", "hostname")
                    || fails(one, env, finding, "duplicate", "name")
                    || hiddenDuplicate(one, env, finding, "hostname");
            case "IncompleteRegistry" -> fails(one, env, finding, "validation", "")
                    || fails(one, env, finding, "conversion", "")
                    || fails(one, env, finding, "other", "");
            case "InvalidValue" -> fails(one, env, finding, "conversion", "");
            case "InvalidKey" -> doesNotBind(one, finding);
            case "UnmatchableHostname" -> unmatchable(one, env, finding);
            case "DuplicateVariable" -> ambiguous(one, finding);
            default -> false;
        };
        return true_ ? "" : "denied as " + name + " " + text(finding, "key") + " ("
                + text(finding, "path") + "), but " + opinions(one.service(), env);
    }

    /** The environment with the policy's registries injected where they are absent. */
    @SuppressWarnings("unchecked")
    private static Map<String, String> withPolicy(Generator.Case one) {
        Map<String, String> env = new LinkedHashMap<>(one.env());
        if (one.policy().get("mode").equals("Inject")) {
            String prefix = one.service().toUpperCase(Locale.ROOT)
                    + "_REGISTRIES_RECOGNIZED_CONTAINER_";
            ((Map<String, Map<String, String>>) one.policy().get("registries"))
                    .forEach((key, value) -> {
                        env.put(prefix + key + "_NAME", value.get("name"));
                        env.put(prefix + key + "_HOSTNAME", value.get("hostname"));
                    });
        }
        return env;
    }

    private static String variable(Generator.Case one, JsonNode finding) {
        String path = text(finding, "path");
        if (one.env().containsKey(Generator.REMOTE + path)) {
            return Generator.REMOTE + path;
        }
        int at = path.lastIndexOf("env[");
        if (at < 0) {
            return null;
        }
        int index = Integer.parseInt(path.substring(at + 4, path.indexOf(']', at)));
        List<String> names = new ArrayList<>(one.env().keySet());
        return index < names.size() ? names.get(index) : null;
    }

    private static final Set<String> PROPERTIES = Set.of("", "name", "hostname", "calltimeout",
            "readtimeout", "writetimeout", "connectiontimeout", "oauth2", "oauth2baseurl",
            "oauth2groupscope", "credentialvalidation", "credentialvalidationenabled",
            "artifactvalidation", "artifactvalidationenabled");

    /** The type that a variable speaks of, or null. */
    private static String type(String variable) {
        String u = uniform(variable);
        return Registries.TYPES.stream().filter(type -> u.contains("recognized" + type)).findFirst()
                .orElse(null);
    }

    /** What stands behind the key in a variable's name, or null if it has another key. */
    private static String property(String variable, String type, String key) {
        String u = uniform(variable);
        String head = "recognized" + type + uniform(key);
        int at = u.indexOf(head);
        if (at < 0) {
            return null;
        }
        String rest = u.substring(at + head.length());
        return PROPERTIES.contains(rest) ? rest : null;
    }

    /** The types that a finding may speak of: that of its variable, where it names one. */
    private static List<String> types(Generator.Case one, JsonNode finding) {
        String variable = variable(one, finding);
        String type = variable == null ? null : type(variable);
        return type == null ? Registries.TYPES : List.of(type);
    }

    /** Of the environment, what speaks of this key; so that one fault hides no other. */
    private static Map<String, String> about(Map<String, String> env, List<String> types,
            String key) {
        Map<String, String> result = new LinkedHashMap<>();
        env.forEach((name, value) -> {
            for (String type : types) {
                if (property(name, type, key) != null) {
                    result.put(name, value);
                }
            }
        });
        return result;
    }

    /**
     * The same, with sound values for what else could be wrong: tuning that converts, nothing
     * where an object is expected, a name and a host name where there are none.
     */
    private static Map<String, String> completed(Generator.Case one, Map<String, String> env,
            List<String> types, String key) {
        Map<String, String> result = new LinkedHashMap<>();
        for (String type : types) {
            about(env, List.of(type), key).forEach((name, value) -> {
                String property = property(name, type, key);
                if (property.equals("name") || property.equals("hostname")) {
                    result.put(name, value.isBlank() ? "some" : value);
                } else if (property.endsWith("enabled")) {
                    result.put(name, "true");
                } else if (property.endsWith("timeout")) {
                    result.put(name, "1s");
                } else if (property.length() > "oauth2".length() && property.startsWith("oauth2")) {
                    result.put(name, value);
                }
            });
            if (result.isEmpty()) {
                continue;
            }
            for (String property : List.of("NAME", "HOSTNAME")) {
                if (result.keySet().stream().anyMatch(name -> property
                        .toLowerCase(Locale.ROOT).equals(property(name, type, key)))) {
                    continue;
                }
                result.put(one.service().toUpperCase(Locale.ROOT)
                        + "_REGISTRIES_RECOGNIZED_" + type.toUpperCase(Locale.ROOT) + "_"
                        + uniform(key).toUpperCase(Locale.ROOT) + "_" + property,
                        "completed." + uniform(key));
            }
        }
        return result;
    }

    private boolean fails(Generator.Case one, Map<String, String> env, JsonNode finding,
            String kind, String by) {
        List<String> types = types(one, finding);
        String key = text(finding, "key");
        if (failsSo(one, env, kind, by) || failsSo(one, about(env, types, key), kind, by)) {
            return true;
        }
        if (kind.equals("conversion")) {
            String variable = variable(one, finding);
            Map<String, String> probe = completed(one, env, types, key);
            if (variable == null) {
                return false;
            }
            probe.put(variable, one.env().get(variable));
            return failsSo(one, probe, kind, by) || failsSo(one,
                    Map.of(variable, one.env().get(variable)), kind, by);
        }
        return kind.equals("duplicate") && duplicateAmongTwo(one, env, finding, by);
    }

    /** Another fault may come first: leave only this registry and one other at a time. */
    private boolean duplicateAmongTwo(Generator.Case one, Map<String, String> env,
            JsonNode finding, String by) {
        List<String> types = types(one, finding);
        Map<String, String> mine = completed(one, env, types, text(finding, "key"));
        if (failsSo(one, mine, "duplicate", by)) {
            return true;
        }
        for (String name : env.keySet()) {
            for (String type : types) {
                for (String suffix : List.of("hostname", "name")) {
                    String u = uniform(name);
                    int at = u.indexOf("recognized" + type);
                    if (at < 0 || !u.endsWith(suffix)) {
                        continue;
                    }
                    String key = u.substring(at + ("recognized" + type).length(),
                            u.length() - suffix.length());
                    Map<String, String> two = completed(one, env, List.of(type), key);
                    two.putAll(mine);
                    if (failsSo(one, two, "duplicate", by)) {
                        return true;
                    }
                }
            }
        }
        return false;
    }

    /**
     * Where the case fails for another reason first and cannot be taken apart: the value is another
     * registry's too, or two keys that differ only in spelling read one variable.
     */
    private boolean hiddenDuplicate(Generator.Case one, Map<String, String> env,
            JsonNode finding, String by) {
        if (starts(one.service(), env)) {
            return false;
        }
        for (String type : types(one, finding)) {
            Map<String, String> values = new LinkedHashMap<>();
            Registries.KNOWN.forEach((key, name) -> values.put("known " + key, by.equals("name")
                    ? name : String.valueOf(base.getOrDefault(type, Map.of())
                            .getOrDefault(key, Map.of()).get("hostname"))));
            Set<String> spellings = new HashSet<>();
            env.forEach((name, value) -> {
                if (type.equals(type(name))) {
                    if (uniform(name).endsWith(by)) {
                        values.put(name, value);
                    }
                    if (property(name, type, text(finding, "key")) != null
                            || uniform(name).contains(
                                    "recognized" + type + uniform(text(finding, "key")))) {
                        spellings.add(name.replaceAll("(?i)_?(name|hostname)\\W*$", ""));
                    }
                }
            });
            if (spellings.size() > 1
                    || values.values().stream().distinct().count() < values.size()) {
                return true;
            }
        }
        return false;
    }

    private boolean failsSo(Generator.Case one, Map<String, String> env, String kind, String by) {
        return answers(one.service(), env).stream().anyMatch(answer ->
                kind.equals(answer.get("kind")) && (by.isEmpty() || by.equals(answer.get("by"))));
    }

    /** All whose letters name the key, whatever Spring makes of them. */
    private static Map<String, String> lettersOf(Generator.Case one, Map<String, String> env,
            JsonNode finding) {
        Map<String, String> result = new LinkedHashMap<>(env);
        result.keySet().removeIf(name -> types(one, finding).stream().noneMatch(type ->
                uniform(name).contains("recognized" + type + uniform(text(finding, "key")))));
        return result;
    }

    /** The variable reaches the built-in: another value of it changes the entry or is fatal. */
    private boolean collides(Generator.Case one, Map<String, String> env, JsonNode finding) {
        String variable = variable(one, finding);
        Map<String, String> same = lettersOf(one, env, finding);
        if (variable != null && reaches(one, Map.of(variable, "probe.example"))) {
            return true;
        }
        if (text(finding, "message").contains(" makes a second entry ")) {
            Map<String, String> sound = sound(same);
            return failsSo(one, same, "duplicate", "") || failsSo(one, same, "other", "")
                    || failsSo(one, sound, "duplicate", "") || failsSo(one, sound, "other", "")
                    || failsSo(one, env, "duplicate", "") || failsSo(one, env, "other", "");
        }
        if (variable == null) {
            return reaches(one, about(env, Registries.TYPES, text(finding, "key")));
        }
        /* Alone it does not: then it does as what fills in the key of another one. */
        return same.keySet().stream().anyMatch(other -> !other.equals(variable)
                && fills(one, variable, sound(Map.of(other, same.get(other)))));
    }

    /** With values that are no fault of their own. */
    private static Map<String, String> sound(Map<String, String> env) {
        Map<String, String> result = new LinkedHashMap<>(env);
        result.replaceAll((name, value) -> uniform(name).endsWith("timeout") ? "1s"
                : uniform(name).endsWith("enabled") ? "true"
                : uniform(name).endsWith("name")
                        ? "o" + Integer.toHexString(name.hashCode()) + ".example" : value);
        return result;
    }

    private boolean fills(Generator.Case one, String variable, Map<String, String> others) {
        Map<String, String> probe = new LinkedHashMap<>(others);
        probe.put(variable, "probe.example");
        return reaches(one, probe)
                && !opinions(one.service(), probe).equals(opinions(one.service(), others));
    }

    private boolean reaches(Generator.Case one, Map<String, String> env) {
        return answers(one.service(), env).stream().anyMatch(answer -> !starts(answer)
                || Registries.TYPES.stream().anyMatch(type -> base.get(type).entrySet().stream()
                        .anyMatch(entry -> !builtIn(type, entry.getValue(), Compact.index(answer)
                                .get(type).get(entry.getKey())).isEmpty())));
    }

    /** The variable does nothing: with it and without it Spring says the same. */
    private boolean doesNotBind(Generator.Case one, JsonNode finding) {
        String variable = variable(one, finding);
        if (variable == null) {
            return false;
        }
        if (sameWithout(one, one.env(), variable)
                || sameWithout(one, withPolicy(one), variable)) {
            return true;
        }
        boolean undecided = "Remove".equals(one.policy().get("unlisted"))
                || !starts(one.service(), one.env());
        Map<String, String> alone = Map.of(variable, one.env().get(variable));
        return !starts(one.service(), alone) || undecided && sameWithout(one, alone, variable);
    }

    private boolean sameWithout(Generator.Case one, Map<String, String> env, String variable) {
        Map<String, String> without = new LinkedHashMap<>(env);
        without.remove(variable);
        return opinions(one.service(), env).equals(opinions(one.service(), without));
    }

    private boolean unmatchable(Generator.Case one, Map<String, String> env, JsonNode finding) {
        String host = null;
        String variable = variable(one, finding);
        if (variable != null) {
            host = one.env().get(variable);
        }
        return host == null || !host.equals(host.toLowerCase(Locale.ROOT))
                || host.endsWith(".") || !host.equals(lookup(host + "/org/image:tag"));
    }

    /**
     * There is another spelling of the same property, with another value (denied by the project's
     * rule, whether or not Spring always takes the same one); or what Spring makes of the key does
     * depend on the order of the environment.
     */
    private boolean ambiguous(Generator.Case one, JsonNode finding) {
        String variable = variable(one, finding);
        return variable != null && (one.env().entrySet().stream()
                .anyMatch(entry -> uniform(entry.getKey()).equals(uniform(variable))
                        && !entry.getValue().equals(one.env().get(variable)))
                || answers(one.service(), one.env()).size() > 1
                || orderDecides(one, lettersOf(one, one.env(), finding), variable)
                || orderDecides(one, sound(lettersOf(one, one.env(), finding)), variable));
    }

    /** Of the variable together with one or two others; so that no other fault hides it. */
    private boolean orderDecides(Generator.Case one, Map<String, String> env, String variable) {
        for (String first : env.keySet()) {
            for (String second : env.keySet()) {
                Map<String, String> few = new LinkedHashMap<>(env);
                few.keySet().retainAll(List.of(variable, first, second));
                if (answers(one.service(), few).size() > 1) {
                    return true;
                }
            }
        }
        return false;
    }

    private boolean isNew(String key) {
        return !base.get("container").containsKey(key);
    }

    private String unlisted(Generator.Case one, JsonNode finding) {
        List<Map<String, Object>> answers = answers(one.service(), one.env());
        if (!answers.stream().allMatch(Judge::starts)) {
            answers = answers(one.service(),
                    about(one.env(), List.of("container"), text(finding, "key")));
            if (!answers.stream().allMatch(Judge::starts) || answers.stream().noneMatch(answer ->
                    Compact.index(answer).get("container").keySet().stream()
                            .anyMatch(this::isNew))) {
                return "";
            }
        }
        boolean there = answers.stream().anyMatch(answer -> Compact.index(answer).get("container")
                .keySet().stream().anyMatch(
                        key -> uniform(key).equals(uniform(text(finding, "key")))));
        return there ? "" : "denied as unlisted, but is not there: " + text(finding, "key");
    }
}
