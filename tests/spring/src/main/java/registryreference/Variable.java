package registryreference;

import java.util.List;
import java.util.Map;
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

    /** "type key property", with "ignored" for a property that there is not; null for nothing. */
    static String meaning(String service, String variable) {
        IterableConfigurationPropertySource source = (IterableConfigurationPropertySource)
                ConfigurationPropertySources.from(new SystemEnvironmentPropertySource(
                        StandardEnvironment.SYSTEM_ENVIRONMENT_PROPERTY_SOURCE_NAME,
                        Map.of(variable, "x"))).iterator().next();
        ConfigurationPropertyName name = source.stream().findFirst().orElse(null);
        if (name == null) {
            return null;
        }
        for (String type : Registries.TYPES) {
            ConfigurationPropertyName root = ConfigurationPropertyName
                    .of(service + ".registries.recognized." + type);
            if (root.isAncestorOf(name)) {
                return type + " " + ofType(source, root, name);
            }
        }
        return null;
    }

    private static String ofType(ConfigurationPropertySource source,
            ConfigurationPropertyName root, ConfigurationPropertyName name) {
        String key = name.getElement(4, Form.ORIGINAL);
        if (!key.equals("ecr-public")) {
            for (String leaf : LEAVES) {
                if (source.getConfigurationProperty(root.append("ecr-public." + leaf)) != null
                        && source.getConfigurationProperty(name.chop(5).append(leaf)) == null) {
                    return "ecr-public " + leaf;
                }
            }
        }
        for (String leaf : LEAVES) {
            if (source.getConfigurationProperty(name.chop(5).append(leaf)) != null) {
                return key + " " + leaf;
            }
        }
        if (name.getNumberOfElements() == 5) {
            return key + " ";
        }
        for (String object : OBJECTS) {
            if (name.equals(name.chop(5).append(object))) {
                return key + " " + object;
            }
        }
        return key + " ignored";
    }
}
