package registryreference;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.springframework.boot.context.properties.source.ConfigurationPropertyName;
import org.springframework.boot.context.properties.source.ConfigurationPropertyName.Form;
import tools.jackson.databind.JsonNode;

/**
 * Is what the findings of one denial claim so? Each is held against what Spring puts into the maps
 * ({@link Bound}), where no fault hides another; and where it says that the API does not start,
 * against that as well. The environment is the one that the webhook judged: with the policy's
 * registries, and without what it says it has taken out.
 */
final class Claims {

    private final Judge judge;
    private final Generator.Case one;
    private final List<JsonNode> errors;
    private final Map<String, String> env;

    Claims(Judge judge, Generator.Case one, JsonNode findings) {
        this.judge = judge;
        this.one = one;
        this.errors = findings.valueStream()
                .filter(finding -> Judge.text(finding, "severity").equals("error")).toList();
        this.env = withPolicy(withoutTakenOut(findings));
    }

    /** Empty, or what is wrong with it. */
    String wrong(JsonNode finding) {
        String name = Judge.text(finding, "finding");
        boolean so = switch (name) {
            case "BuiltinCollision" -> Judge.text(finding, "message").contains(" makes a second ")
                    ? isFatal() && twins(finding) : reaches(finding);
            case "DuplicateName" -> shares(finding, Registries.Registry::name);
            case "DuplicateHostname" -> shares(finding, Registries.Registry::hostname);
            case "IncompleteRegistry" -> isFatal() && incomplete(finding);
            case "InvalidValue" -> isFatal() && invalid(finding);
            case "InvalidKey" -> doesNothing(finding);
            case "UnmatchableHostname" -> unmatchable(finding);
            case "DuplicateVariable" -> ambiguous(finding);
            case "UnlistedRegistry" -> any(sound(env), finding, "container", entry -> true);
            case "ValueConflict" -> conflicts(finding);
            case "MissingRegistry" -> missing(finding);
            case "RemoteConfigOverride" -> one.env().containsKey(
                    Generator.REMOTE + Judge.text(finding, "path"));
            default -> false;
        };
        return so ? "" : "denied as " + name + " " + Judge.text(finding, "key") + " ("
                + Judge.text(finding, "path") + "), but "
                + judge.opinions(one.service(), env);
    }

    // ---- the environment that was judged ----

    /** The environment with the policy's registries injected. */
    @SuppressWarnings("unchecked")
    private Map<String, String> withPolicy(Map<String, String> given) {
        Map<String, String> result = new LinkedHashMap<>(given);
        if (one.policy().get("mode").equals("Inject")) {
            String prefix = one.service().toUpperCase(Locale.ROOT)
                    + "_REGISTRIES_RECOGNIZED_CONTAINER_";
            ((Map<String, Map<String, String>>) one.policy().get("registries"))
                    .forEach((key, value) -> {
                        result.put(prefix + key + "_NAME", value.get("name"));
                        result.put(prefix + key + "_HOSTNAME", value.get("hostname"));
                    });
        }
        return result;
    }

    /** Without the variables of registries that are not listed, and those that fill them in. */
    private Map<String, String> withoutTakenOut(JsonNode findings) {
        Map<String, String> result = new LinkedHashMap<>(one.env());
        for (JsonNode finding : findings) {
            String variable = variable(finding);
            if (!Judge.text(finding, "message").endsWith(" and is taken out")
                    || variable == null) {
                continue;
            }
            String key = key(variable);
            for (String name : one.env().keySet()) {
                if (!name.startsWith(Generator.REMOTE) && (key.equals(key(name))
                        || fills(name, key.substring(key.indexOf(' ') + 1)))) {
                    result.remove(name);
                }
            }
        }
        return result;
    }

    /** Its letters begin with those of the key, whatever Spring makes of it. */
    private static boolean speaksOf(String name, String type, String key) {
        return Judge.uniform(name).contains("recognized" + type + Judge.uniform(key));
    }

    /** Type and key that the name makes, to the letter; or "". */
    private static String key(String variable) {
        ConfigurationPropertyName name = Orders.read(variable);
        return name == null || name.getNumberOfElements() < 5 ? ""
                : name.getElement(3, Form.UNIFORM) + " " + name.getElement(4, Form.ORIGINAL);
    }

    /** The name or the host name of the container registry comes from there. */
    private boolean fills(String variable, String key) {
        if (!speaksOf(variable, "container", key) || !Judge.uniform(variable).endsWith("name")) {
            return false;
        }
        Map<String, String> given = withPolicy(one.env());
        Map<String, String> other = new LinkedHashMap<>(given);
        other.put(variable, PROBE);
        return !names(given, key).equals(names(other, key));
    }

    /** In the container's own order, which is what the webhook goes by here. */
    private String names(Map<String, String> given, String key) {
        Bound.Entry entry = bounds(given).get(0).entries().get("container").get(key);
        return entry == null ? "" : entry.name() + "\n" + entry.hostname();
    }

    private String variable(JsonNode finding) {
        String path = Judge.text(finding, "path");
        if (one.env().containsKey(Generator.REMOTE + path)) {
            return Generator.REMOTE + path;
        }
        int at = path.lastIndexOf("env[");
        if (at < 0) {
            String first = Judge.text(finding, "message").split(" ", 2)[0];
            return env != null && env.containsKey(first) ? first : null;
        }
        int index = Integer.parseInt(path.substring(at + 4, path.indexOf(']', at)));
        List<String> names = new ArrayList<>(one.env().keySet());
        return index < names.size() ? names.get(index) : null;
    }

    /** The types that a finding may speak of: that of its variable, where it names one. */
    private List<String> types(JsonNode finding) {
        String variable = variable(finding);
        String name = variable == null ? "" : Judge.uniform(variable);
        List<String> result = Registries.TYPES.stream()
                .filter(type -> name.contains("recognized" + type)).toList();
        return result.isEmpty() ? Registries.TYPES : result;
    }

    private static final String PROBE = "probe.example";

    private static Map<String, String> with(Map<String, String> env, String name, String value) {
        Map<String, String> result = new LinkedHashMap<>(env);
        result.put(name, value);
        return result;
    }

    /** Tuning that converts, so that no entry is without what is left out of it. */
    private Map<String, String> sound(Map<String, String> given) {
        if (bounds(given).stream().allMatch(bound -> bound.failures().isEmpty())) {
            return given;
        }
        Map<String, String> result = new LinkedHashMap<>(given);
        result.replaceAll((name, value) -> Judge.uniform(name).endsWith("timeout")
                ? value.isEmpty() ? "" : "1s"
                : Judge.uniform(name).endsWith("enabled") ? "true" : value);
        return result;
    }

    // ---- what Spring makes of it ----

    private List<Bound> bounds(Map<String, String> given) {
        return judge.bounds(one.service(), given);
    }

    /** In some order the API does not start. */
    private boolean isFatal() {
        return !judge.answers(one.service(), env).stream().allMatch(Judge::starts);
    }

    /** In some order there is such an entry of the finding's key. */
    private boolean any(Map<String, String> given, JsonNode finding, String type,
            Predicate<Bound.Entry> wanted) {
        return bounds(given).stream().anyMatch(bound -> bound
                .like(type, Judge.text(finding, "key")).values().stream().anyMatch(wanted));
    }

    /**
     * One of the finding's registries has this in common with another one, and the API does not
     * start; or with what a built-in has as soon as the collision that is denied with it is put right.
     */
    private boolean shares(JsonNode finding, Function<Registries.Registry, String> what) {
        /* A Helm registry may have its host name from a variable of the container's. */
        List<String> types = types(finding).contains("container") ? Registries.TYPES
                : types(finding);
        String key = Judge.uniform(Judge.text(finding, "key"));
        boolean fatal = isFatal();
        return bounds(sound(env)).stream().anyMatch(bound -> types.stream().anyMatch(type -> {
            List<Registries.Registry> all = bound.registries(type);
            return all.stream().filter(mine -> Judge.uniform(mine.key()).equals(key))
                    .anyMatch(mine -> Stream
                            .concat(fatal ? all.stream() : Stream.empty(), collided(type))
                            .anyMatch(other -> other != mine
                                    && what.apply(other).equals(what.apply(mine))));
        }));
    }

    /** The built-ins that the denial calls taken over, as they are by themselves. */
    private Stream<Registries.Registry> collided(String type) {
        return bounds(Map.of()).get(0).registries(type).stream()
                .filter(builtIn -> errors.stream().anyMatch(error ->
                        Judge.text(error, "finding").equals("BuiltinCollision")
                                && Judge.uniform(Judge.text(error, "key"))
                                        .equals(Judge.uniform(builtIn.key()))));
    }

    /** A key that is a built-in's but for its spelling, and reads its properties. */
    private boolean twins(JsonNode finding) {
        return bounds(sound(env)).stream().anyMatch(bound -> types(finding).stream()
                .filter(Bound::isServed).anyMatch(type -> {
                    Map<String, Bound.Entry> like = bound.like(type,
                            Judge.text(finding, "key"));
                    String known = like.keySet().stream()
                            .filter(Registries.KNOWN::containsKey).findFirst().orElse(null);
                    Bound.Entry builtIn = like.remove(known);
                    return like.values().stream().anyMatch(e -> builtIn == null
                            ? e.isComplete() : Objects.equals(e.hostname(), builtIn.hostname())
                                    || Objects.equals(e.name(), builtIn.name())
                                    || Registries.KNOWN.get(known).equals(e.name()));
                }));
    }

    /** The variable is what the built-in's name or host name is taken from. */
    private boolean reaches(JsonNode finding) {
        String variable = variable(finding);
        if (variable == null) {
            return false;
        }
        String value = env.get(variable);
        boolean unique = env.values().stream().filter(value::equals).count() == 1
                && judge.bounds(one.service(), Map.of()).stream()
                        .noneMatch(bound -> sets(bound, finding, value));
        Map<String, String> given = unique ? env : with(env, variable, PROBE);
        return bounds(given).stream()
                .anyMatch(bound -> sets(bound, finding, unique ? value : PROBE));
    }

    /** The built-in that the finding speaks of has the value for its name or host name. */
    private boolean sets(Bound bound, JsonNode finding, String value) {
        boolean name = Judge.text(finding, "message").contains(" sets the name of ");
        return types(finding).stream()
                .flatMap(type -> bound.like(type, Judge.text(finding, "key")).entrySet().stream())
                .filter(e -> Registries.KNOWN.containsKey(e.getKey()))
                .map(Map.Entry::getValue)
                .anyMatch(e -> value.equals(name ? e.name() : e.hostname()));
    }

    private boolean incomplete(JsonNode finding) {
        String message = Judge.text(finding, "message");
        if (message.contains(" gives a value to the key itself")) {
            String variable = variable(finding);
            return variable != null && failsBy(variable, env);
        }
        if (message.contains(" takes its hostname from the CONTAINER")) {
            return bounds(sound(env)).stream().anyMatch(bound -> bound.clients().get("helm")
                    .stream().anyMatch(key -> Judge.uniform(key)
                            .equals(Judge.uniform(Judge.text(finding, "key")))
                            && !bound.entries().get("container").containsKey(key)));
        }
        boolean neither = message.contains(" has neither a name nor a hostname");
        boolean noName = neither || message.contains(" has no name");
        boolean noHost = neither || message.contains(" has no hostname");
        return types(finding).stream().anyMatch(type -> any(sound(env), finding, type,
                entry -> (noName || noHost) && noName == Bound.isBlank(entry.name())
                        && noHost == Bound.isBlank(entry.hostname())));
    }

    /** In some order a property that is taken from the variable does not convert. */
    private boolean failsBy(String variable, Map<String, String> given) {
        return bounds(given).stream().anyMatch(bound -> bound.failures().values().stream()
                .anyMatch(property -> Orders.has(variable, property)));
    }

    /** The variable is what a property is taken from, and its value is as good as none. */
    private boolean invalid(JsonNode finding) {
        String variable = variable(finding);
        if (variable == null || !failsBy(variable, env)) {
            return false;
        }
        if (Judge.text(finding, "message").contains(" takes no value")) {
            return true;
        }
        String good = Judge.uniform(variable).endsWith("enabled") ? "false" : "77s";
        List<Bound> now = bounds(env);
        return now.equals(bounds(with(env, variable, "neither")))
                && !now.equals(bounds(with(env, variable, good)));
    }

    /** With it and without it Spring does the same. */
    private boolean doesNothing(JsonNode finding) {
        String variable = variable(finding);
        if (variable == null) {
            return false;
        }
        Map<String, String> without = new LinkedHashMap<>(env);
        without.remove(variable);
        return outlines(env).equals(outlines(without)) && outcomes(env).equals(outcomes(without));
    }

    private Set<Map<String, Object>> outlines(Map<String, String> given) {
        return bounds(given).stream().map(Bound::outline).collect(Collectors.toSet());
    }

    /** What the API does in each order, as far as it matters where it does not start. */
    private Set<String> outcomes(Map<String, String> given) {
        return judge.answers(one.service(), given).stream()
                .map(answer -> Judge.starts(answer) ? judge.compact.of(answer)
                        : String.valueOf(answer.get("kind")))
                .collect(Collectors.toSet());
    }

    private boolean unmatchable(JsonNode finding) {
        String variable = variable(finding);
        String host = variable == null ? null : one.env().get(variable);
        return host != null
                && any(env, finding, "container", entry -> host.equals(entry.hostname()))
                && (!host.equals(host.toLowerCase(Locale.ROOT)) || host.endsWith(".")
                        || !host.equals(Judge.lookup(host + "/org/image:tag")));
    }

    /**
     * There is another spelling of the same property, with another value (denied by the project's
     * rule, whether or not Spring always takes the same one); or the order of the environment
     * decides what the entry is. Where nothing else is wrong, it is one that the API uses.
     */
    private boolean ambiguous(JsonNode finding) {
        String variable = variable(finding);
        if (variable == null) {
            return false;
        }
        if (one.env().entrySet().stream()
                .anyMatch(entry -> Judge.uniform(entry.getKey()).equals(Judge.uniform(variable))
                        && !entry.getValue().equals(one.env().get(variable)))) {
            return true;
        }
        boolean alone = errors.stream().allMatch(
                error -> Judge.text(error, "finding").equals("DuplicateVariable"));
        return alone && judge.answers(one.service(), env).size() > 1
                || Stream.of(env, sound(env), hasIgnoredKey(finding) ? tuned(env) : env)
                        .anyMatch(given -> types(finding).stream()
                                .filter(type -> !alone || Bound.isServed(type))
                                .anyMatch(type -> bounds(given).stream()
                                        .map(bound -> bound.about(type,
                                                Judge.text(finding, "key")))
                                        .distinct().count() > 1));
    }

    /** A key with an underscore was meant, and is denied in any case: here for what it decides. */
    private boolean hasIgnoredKey(JsonNode finding) {
        return env.keySet().stream().anyMatch(name -> Judge.uniform(name).endsWith("name")
                && types(finding).stream().anyMatch(
                        type -> speaksOf(name, type, Judge.text(finding, "key")))
                && Variable.words(one.service(), name).startsWith("ignored: \""));
    }

    /** Tuning that is nobody's default. */
    private static Map<String, String> tuned(Map<String, String> env) {
        Map<String, String> result = new LinkedHashMap<>(env);
        result.replaceAll((name, value) -> Judge.uniform(name).endsWith("timeout") ? "77s"
                : Judge.uniform(name).endsWith("enabled") ? "false" : value);
        return result;
    }

    @SuppressWarnings("unchecked")
    private boolean conflicts(JsonNode finding) {
        Map<String, String> listed = ((Map<String, Map<String, String>>) one.policy()
                .get("registries")).get(Judge.text(finding, "key"));
        boolean name = Judge.text(finding, "message").startsWith("the name of ");
        return listed != null && any(env, finding, "container", entry -> name
                ? entry.name() != null && !entry.name().equals(listed.get("name"))
                : entry.hostname() != null && !entry.hostname().equals(listed.get("hostname")));
    }

    private boolean missing(JsonNode finding) {
        String key = Judge.text(finding, "key").toLowerCase(Locale.ROOT);
        return bounds(env).stream().anyMatch(bound -> {
            Bound.Entry entry = bound.entries().get("container").get(key);
            return entry == null || !entry.isComplete();
        });
    }
}
