package registryreference;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.springframework.core.env.Environment;

/**
 * The steps that follow the binding: known keys versus custom ones, then the lookup maps by name
 * and by host name, which refuse duplicates. Whatever throws here keeps the API from starting.
 */
final class Registries {

    static final List<String> TYPES = List.of("container", "helm", "model", "resource");

    /** Known keys in the order of the API's bean methods; their names are constants there. */
    static final Map<String, String> KNOWN = new LinkedHashMap<>();

    static {
        KNOWN.put("ngc", "NGC Private Registry");
        KNOWN.put("docker", "Docker Hub Registry");
        KNOWN.put("ecr", "AWS ECR Private Registry");
        KNOWN.put("ecr-public", "AWS ECR Public Registry");
        KNOWN.put("volcengine", "Volcano Engine Registry");
        KNOWN.put("acr", "Azure Container Registry");
        KNOWN.put("harbor", "Harbor Registry");
        KNOWN.put("artifactory", "JFrog Artifactory Registry");
    }

    /** A registry as the API lists it. */
    record Registry(String key, String name, String hostname, boolean known) {
    }

    private final Map<String, List<Registry>> byType = new LinkedHashMap<>();
    private final Map<String, Map<String, String>> nameByHost = new LinkedHashMap<>();
    private final RegistryProperties.Recognized recognized;

    Registries(RegistryProperties properties, Environment environment, String root) {
        this.recognized = properties.getRecognized();
        for (String type : TYPES) {
            byType.put(type, collect(type, environment, root));
        }
        for (String type : TYPES) {
            try {
                byType.get(type).stream()
                        .collect(Collectors.toMap(Registry::name, Registry::hostname));
            } catch (IllegalStateException e) {
                throw new DuplicateException(type, "name", e);
            }
        }
        for (String type : TYPES) {
            try {
                nameByHost.put(type, byType.get(type).stream()
                        .collect(Collectors.toMap(Registry::hostname, Registry::name)));
            } catch (IllegalStateException e) {
                throw new DuplicateException(type, "hostname", e);
            }
        }
    }

    /** The same exception with the place where it happened. */
    static final class DuplicateException extends IllegalStateException {

        private static final long serialVersionUID = 1;
        private final String type;
        private final String by;

        DuplicateException(String type, String by, IllegalStateException cause) {
            super(cause.getMessage(), cause);
            this.type = type;
            this.by = by;
        }

        String type() {
            return type;
        }

        String by() {
            return by;
        }
    }

    private Map<String, RegistryProperties.Entry> map(String type) {
        return switch (type) {
            case "container" -> recognized.getContainer();
            case "helm" -> recognized.getHelm();
            case "model" -> recognized.getModel();
            default -> recognized.getResource();
        };
    }

    private List<Registry> collect(String type, Environment environment, String root) {
        boolean all = type.equals("container") || type.equals("helm");
        List<Registry> result = new ArrayList<>();
        KNOWN.forEach((key, name) -> {
            if (!all && !key.equals("ngc")) {
                return;
            }
            String host = environment
                    .getProperty(root + ".registries.recognized." + type + "." + key + ".hostname");
            if (host == null || host.isBlank()) {
                return;
            }
            result.add(new Registry(key, name, knownEntry(type, key).getHostname(), true));
        });
        if (all) {
            map(type).forEach((key, entry) -> {
                if (KNOWN.containsKey(key)) {
                    return;
                }
                entry.getArtifactValidation().setEnabled(false);
                entry.getCredentialValidation().setEnabled(false);
                result.add(new Registry(key, entry.getName(), entry.getHostname(), false));
            });
        }
        return result;
    }

    /** The type whose entry has the host name of a known key. */
    static String hostFrom(String type, String key) {
        boolean other = type.equals("helm")
                && List.of("volcengine", "acr", "harbor", "artifactory").contains(key);
        return other ? "container" : type;
    }

    /**
     * Four of the Helm clients are built from the container entry of the same key; Docker and
     * NGC's artifact clients need an oauth2 section. Both can be null, and then nothing starts.
     */
    private RegistryProperties.Entry knownEntry(String type, String key) {
        RegistryProperties.Entry entry = map(hostFrom(type, key)).get(key);
        entry.getHostname();
        if (key.equals("docker") || (key.equals("ngc") && !type.equals("container"))) {
            entry.getOauth2().getBaseUrl();
        }
        return entry;
    }

    List<Registry> of(String type) {
        return byType.get(type);
    }

    RegistryProperties.Entry entry(String type, String key) {
        return map(type).get(key);
    }

    private String ngc(String type, String otherwise) {
        RegistryProperties.Entry entry = map(type).get("ngc");
        return entry != null ? entry.getHostname() : otherwise;
    }

    /** What is looked up for this image: never null; may throw as the API would (HTTP 400/500). */
    String lookupHost(String host) {
        return ImageHost.normalise(host, ngc("container", "nvcr.io"),
                ngc("helm", "helm.ngc.nvidia.com"), ngc("model", "api.ngc.nvidia.com"));
    }

    /** Name of the container registry that is recognised for a normalised host, or null. */
    String nameOfHost(String normalised) {
        return nameByHost.get("container").get(normalised);
    }
}
