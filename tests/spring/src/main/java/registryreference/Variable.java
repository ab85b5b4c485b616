package registryreference;

import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.springframework.boot.context.properties.source.ConfigurationPropertyName;
import org.springframework.boot.context.properties.source.ConfigurationPropertyName.Form;
import org.springframework.boot.context.properties.source.ConfigurationPropertySource;
import org.springframework.boot.context.properties.source.ConfigurationPropertySources;
import org.springframework.boot.context.properties.source.IterableConfigurationPropertySource;
import org.springframework.core.env.StandardEnvironment;
import org.springframework.core.env.SystemEnvironmentPropertySource;

/** What Spring makes of the name of one environment variable, asked of its own classes. */
final class Variable {

    private static final List<String> LEAVES = List.of("name", "hostname", "call-timeout",
            "read-timeout", "write-timeout", "connection-timeout", "oauth2.base-url",
            "oauth2.group-scope", "credential-validation.enabled", "artifact-validation.enabled");
    private static final List<String> OBJECTS = List.of("oauth2", "credential-validation",
            "artifact-validation");

    private Variable() {
    }

    private static final Map<String, String> KNOWN = new ConcurrentHashMap<>();
    private static final int MOST_KNOWN = 50_000;

    /** What it does with it, in the words that `explain` has to use. */
    static String words(String service, String variable) {
        if (KNOWN.size() > MOST_KNOWN) {
            KNOWN.clear();
        }
        return KNOWN.computeIfAbsent(service + " " + variable, key -> meaning(service, variable));
    }

    private static String meaning(String service, String variable) {
        IterableConfigurationPropertySource source = (IterableConfigurationPropertySource)
                ConfigurationPropertySources.from(new SystemEnvironmentPropertySource(
                        StandardEnvironment.SYSTEM_ENVIRONMENT_PROPERTY_SOURCE_NAME,
                        Map.of(variable, "x"))).iterator().next();
        ConfigurationPropertyName name = source.stream().findFirst().orElse(null);
        for (String type : Registries.TYPES) {
            ConfigurationPropertyName root = ConfigurationPropertyName
                    .of(service + ".registries.recognized." + type);
            if (name != null && root.isAncestorOf(name)) {
                return ofType(source, root, type, name);
            }
        }
        return "ignored: it does not name a recognised registry of the API";
    }

    private static String ofType(ConfigurationPropertySource source,
            ConfigurationPropertyName root, String type, ConfigurationPropertyName name) {
        String key = "\"" + name.getElement(4, Form.ORIGINAL) + "\"";
        if (!key.equals("\"ecr-public\"")) {
            for (String leaf : LEAVES) {
                if (source.getConfigurationProperty(root.append("ecr-public." + leaf)) != null
                        && source.getConfigurationProperty(name.chop(5).append(leaf)) == null) {
                    return "sets " + leaf + " of " + type + " entry \"ecr-public\"";
                }
            }
            for (String object : OBJECTS) {
                if (source.getConfigurationProperty(root.append("ecr-public." + object)) != null
                        && source.getConfigurationProperty(name.chop(5).append(object)) == null) {
                    return "gives " + object + " of \"ecr-public\" a value, but it has properties";
                }
            }
        }
        for (String leaf : LEAVES) {
            if (source.getConfigurationProperty(name.chop(5).append(leaf)) != null) {
                return "sets " + leaf + " of " + type + " entry " + key;
            }
        }
        if (name.getNumberOfElements() == 5) {
            return "gives the entry " + key + " itself a value";
        }
        for (String object : OBJECTS) {
            if (name.equals(name.chop(5).append(object))) {
                return "gives " + object + " of " + key + " a value, but it has properties";
            }
        }
        return "ignored: " + key + " has no property \"" + name.subName(5) + "\"";
    }
}
