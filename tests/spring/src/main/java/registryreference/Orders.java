package registryreference;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.springframework.boot.context.properties.source.ConfigurationPropertyName;
import org.springframework.boot.context.properties.source.ConfigurationPropertyName.Form;
import org.springframework.boot.context.properties.source.ConfigurationPropertySources;
import org.springframework.boot.context.properties.source.IterableConfigurationPropertySource;
import org.springframework.core.env.MapPropertySource;
import org.springframework.core.env.PropertySource;
import org.springframework.core.env.StandardEnvironment;
import org.springframework.core.env.SystemEnvironmentPropertySource;

/**
 * The orders in which Spring may meet the names of an environment. A process's environment is a hash
 * map whose size is anybody's guess, so its order is left to chance. It matters only through
 * Spring's MapBinder, which looks for the properties of an entry under the first name of that entry
 * that it meets, and through the set of the names that are equal to one property: where neither has
 * a choice there is one order; else each of those that may be first is put there once, and the whole is
 * turned round once.
 */
final class Orders {

    private Orders() {
    }

    static List<Map<String, String>> of(String service, Map<String, String> env) {
        List<Map<String, String>> result = new ArrayList<>();
        result.add(env);
        for (String first : choices(service, env)) {
            List<String> names = new ArrayList<>(env.keySet());
            names.remove(first);
            result.add(ordered(env, first, names));
        }
        if (result.size() > 1) {
            List<String> names = new ArrayList<>(env.keySet());
            Collections.reverse(names);
            result.add(ordered(env, names.get(0), names.subList(1, names.size())));
        }
        return result;
    }

    private static Map<String, String> ordered(Map<String, String> env, String first,
            List<String> others) {
        Map<String, String> result = new LinkedHashMap<>();
        result.put(first, env.get(first));
        others.forEach(name -> result.put(name, env.get(name)));
        return result;
    }

    /**
     * One name of each spelling, in each reading, of an entry that has several; and names that are equal to another
     * one and share its place in a hash set of the usual size, where the first one stays first.
     */
    private static Set<String> choices(String service, Map<String, String> env) {
        if (env.size() < 2) {
            return Set.of();
        }
        ConfigurationPropertyName root = ConfigurationPropertyName
                .of(service + ".registries.recognized");
        /* What Spring remembers of an object of one key it takes for an equal key's, too. */
        boolean objects = env.keySet().stream().map(Judge::uniform)
                .anyMatch(name -> name.endsWith("enabled") || name.contains("oauth2"));
        Map<String, Map<String, Map<String, String>>> spellings = new LinkedHashMap<>();
        Map<String, List<String>> places = new LinkedHashMap<>();
        env.keySet().forEach(variable -> {
            ConfigurationPropertyName name = read(variable);
            if (name == null || name.getNumberOfElements() < 5 || !root.isAncestorOf(name)) {
                return;
            }
            int hash = variable.hashCode();
            places.computeIfAbsent(uniform(name) + ((hash ^ hash >>> 16) & 15),
                    key -> new ArrayList<>()).add(variable);
            StringBuilder exact = new StringBuilder();
            for (int i = 0; i < 5; i++) {
                exact.append(name.chop(i + 1).isLastElementIndexed() ? '[' : '.')
                        .append(name.getElement(i, Form.ORIGINAL));
            }
            String entry = name.getElement(3, Form.UNIFORM) + " "
                    + (objects ? Judge.uniform(name.getElement(4, Form.ORIGINAL))
                            : name.getElement(4, Form.ORIGINAL));
            /* Those that read as properties are met after all that read as variables. */
            String reading = variable.indexOf('.') < 0 ? "variable"
                    : variable.indexOf('_') < 0 ? "property" : "either";
            spellings.computeIfAbsent(entry, key -> new LinkedHashMap<>())
                    .computeIfAbsent(exact.toString(), key -> new LinkedHashMap<>())
                    .putIfAbsent(reading, variable);
        });
        Set<String> result = new LinkedHashSet<>();
        spellings.values().stream().filter(ways -> ways.size() > 1)
                .flatMap(ways -> ways.values().stream())
                .forEach(way -> result.addAll(way.values()));
        places.values().stream().filter(names -> names.size() > 1).forEach(result::addAll);
        return result;
    }

    private static String uniform(ConfigurationPropertyName name) {
        StringBuilder result = new StringBuilder();
        for (int i = 0; i < name.getNumberOfElements(); i++) {
            result.append(name.getElement(i, Form.UNIFORM)).append('.');
        }
        return result.toString();
    }

    private static final Map<String, ConfigurationPropertyName> READ = new ConcurrentHashMap<>();

    static ConfigurationPropertyName read(String variable) {
        if (READ.size() > 20_000) {
            READ.clear();
        }
        ConfigurationPropertyName name = READ.computeIfAbsent(variable, Orders::ask);
        return name.isEmpty() ? null : name;
    }

    private static ConfigurationPropertyName ask(String variable) {
        return source(variable).stream().findFirst().orElse(ConfigurationPropertyName.EMPTY);
    }

    /** Does Spring find the property in this variable? */
    static boolean has(String variable, ConfigurationPropertyName property) {
        return source(variable).getConfigurationProperty(property) != null;
    }

    private static IterableConfigurationPropertySource source(String variable) {
        PropertySource<?> source = variable.startsWith(Generator.REMOTE)
                ? new MapPropertySource("remote",
                        Map.of(variable.substring(Generator.REMOTE.length()), "x"))
                : new SystemEnvironmentPropertySource(
                        StandardEnvironment.SYSTEM_ENVIRONMENT_PROPERTY_SOURCE_NAME,
                        Map.of(variable, "x"));
        return (IterableConfigurationPropertySource) ConfigurationPropertySources.from(source)
                .iterator().next();
    }
}
