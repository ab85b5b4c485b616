package registryreference;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.springframework.boot.context.properties.bind.BindContext;
import org.springframework.boot.context.properties.bind.BindHandler;
import org.springframework.boot.context.properties.bind.Bindable;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.context.properties.source.ConfigurationPropertyName;
import org.springframework.boot.context.properties.source.ConfigurationPropertyName.Form;
import org.springframework.core.env.Environment;

/**
 * What Spring puts into the maps, whatever is wrong with it: nothing is validated, and a value that
 * does not convert is left out. So no fault hides another, and each can be looked at by itself.
 *
 * @param entries by type and key
 * @param clients by type, the keys whose own client the API would make: a host name is found under
 *                the key's canonical name
 * @param failures the properties whose values did not convert, by their names from the key on to the letter
 */
record Bound(Map<String, Map<String, Entry>> entries, Map<String, Set<String>> clients,
        Map<String, ConfigurationPropertyName> failures) {

    /**
     * An entry of a map.
     *
     * @param name     as it is bound, or null
     * @param hostname likewise
     * @param tuning   all else
     */
    record Entry(String name, String hostname, String tuning) {

        private static Entry of(RegistryProperties.Entry entry) {
            RegistryProperties.OAuth2 oauth2 = entry.getOauth2();
            return new Entry(entry.getName(), entry.getHostname(), entry.getCallTimeout() + " "
                    + entry.getReadTimeout() + " " + entry.getWriteTimeout() + " "
                    + entry.getConnectionTimeout() + " "
                    + entry.getCredentialValidation().isEnabled() + " "
                    + entry.getArtifactValidation().isEnabled() + " "
                    + (oauth2 == null ? "none"
                            : oauth2.getBaseUrl() + " " + oauth2.getGroupScope()));
        }

        boolean isComplete() {
            return !isBlank(name) && !isBlank(hostname);
        }
    }

    static boolean isBlank(String text) {
        return text == null || text.isBlank();
    }

    /** Binds. */
    static Bound of(Environment environment, String service) {
        Map<String, ConfigurationPropertyName> failures = new TreeMap<>();
        RegistryProperties properties = Binder.get(environment)
                .bind(service + ".registries", Bindable.of(RegistryProperties.class),
                        new BindHandler() {
                            @Override
                            public Object onFailure(ConfigurationPropertyName name,
                                    Bindable<?> target, BindContext context, Exception error) {
                                failures.put(letters(name), name);
                                return null;
                            }
                        })
                .orElseThrow(() -> new IllegalStateException("no registries at all"));
        return of(properties, environment, service, failures);
    }

    /** Of what is bound already. */
    static Bound of(RegistryProperties properties, Environment environment, String service,
            Map<String, ConfigurationPropertyName> failures) {
        RegistryProperties.Recognized all = properties.getRecognized();
        Map<String, Map<String, Entry>> entries = new LinkedHashMap<>();
        entries.put("container", copy(all.getContainer()));
        entries.put("helm", copy(all.getHelm()));
        entries.put("model", copy(all.getModel()));
        entries.put("resource", copy(all.getResource()));
        Map<String, Set<String>> clients = new LinkedHashMap<>();
        for (String type : Registries.TYPES) {
            Set<String> keys = new TreeSet<>();
            for (String key : Registries.KNOWN.keySet()) {
                if ((isServed(type) || key.equals("ngc")) && !isBlank(environment.getProperty(
                        service + ".registries.recognized." + type + "." + key + ".hostname"))) {
                    keys.add(key);
                }
            }
            clients.put(type, keys);
        }
        return new Bound(entries, clients, failures);
    }

    /** Custom keys of the other two types are bound and validated, and then of no use. */
    static boolean isServed(String type) {
        return type.equals("container") || type.equals("helm");
    }

    private static Map<String, Entry> copy(Map<String, RegistryProperties.Entry> map) {
        Map<String, Entry> result = new LinkedHashMap<>();
        if (map != null) {
            map.forEach((key, entry) -> result.put(key, Entry.of(entry)));
        }
        return result;
    }

    /** The keys that are this one but for their spelling, with their entries. */
    Map<String, Entry> like(String type, String key) {
        Map<String, Entry> result = new LinkedHashMap<>(entries.get(type));
        result.keySet().removeIf(other -> !Judge.uniform(other).equals(Judge.uniform(key)));
        return result;
    }

    /** Those, and which of their values do not convert. */
    List<Object> about(String type, String key) {
        Map<String, ConfigurationPropertyName> mine = new TreeMap<>(failures);
        mine.values().removeIf(name -> name.getNumberOfElements() < 5
                || !name.getElement(3, Form.UNIFORM).equals(type)
                || !Judge.uniform(name.getElement(4, Form.ORIGINAL)).equals(Judge.uniform(key)));
        return List.of(like(type, key), mine.keySet());
    }

    /** The entries with which the API may start; "broken" for each of the others, whatever is wrong. */
    Map<String, Object> outline() {
        Map<String, Object> result = new TreeMap<>();
        entries.forEach((type, map) -> map.forEach((key, entry) -> result.put(type + " " + key,
                !entry.isComplete() ? "broken"
                        : isServed(type) || Registries.KNOWN.containsKey(key) ? entry
                                : "of no use")));
        failures.values().stream().filter(name -> name.getNumberOfElements() > 4)
                .forEach(name -> result.put(name.getElement(3, Form.UNIFORM) + " "
                        + name.getElement(4, Form.ORIGINAL), "broken"));
        result.put("clients", clients);
        return result;
    }

    /** Keys that are equal to Spring are two keys of the map. */
    private static String letters(ConfigurationPropertyName name) {
        StringBuilder result = new StringBuilder();
        for (int i = 0; i < name.getNumberOfElements(); i++) {
            result.append(name.chop(i + 1).isLastElementIndexed() ? '[' : '.')
                    .append(name.getElement(i, i < 4 ? Form.UNIFORM : Form.ORIGINAL));
        }
        return result.toString();
    }

    /** What stands in the API's lookup maps of the type, as far as the entries are complete. */
    List<Registries.Registry> registries(String type) {
        List<Registries.Registry> result = new ArrayList<>();
        for (String key : clients.get(type)) {
            Entry entry = entries.get(Registries.hostFrom(type, key)).get(key);
            if (entry != null && !isBlank(entry.hostname)) {
                result.add(new Registries.Registry(key, Registries.KNOWN.get(key), entry.hostname,
                        true));
            }
        }
        entries.get(type).forEach((key, entry) -> {
            if (isServed(type) && !Registries.KNOWN.containsKey(key) && entry.isComplete()) {
                result.add(new Registries.Registry(key, entry.name, entry.hostname, false));
            }
        });
        return result;
    }
}
