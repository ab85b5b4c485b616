package registryreference;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.springframework.boot.context.properties.source.ConfigurationProperty;
import org.springframework.boot.context.properties.source.ConfigurationPropertyName;
import org.springframework.boot.context.properties.source.ConfigurationPropertySource;
import org.springframework.cloud.bootstrap.config.PropertySourceBootstrapProperties;
import org.springframework.core.env.Environment;
import org.springframework.core.env.MapPropertySource;
import tools.jackson.databind.JsonNode;

/**
 * Compares how the webhook and Spring Cloud Kubernetes read files of a remote configuration:
 * {@code RemoteFiles DRIVER SEED COUNT}. Whatever profile is active, what Spring reads of registries the
 * webhook has read, and what it believes of their place is so; what it has read without a
 * doubt is there. Ends with "N passed, N failed".
 */
public final class RemoteFiles {

    private static final int MOST_PRINTED = 10;
    private static final List<Environment> PROFILES = List.of(RemoteConfiguration.profiles("ncp"),
            RemoteConfiguration.profiles("other"), RemoteConfiguration.profiles("ncp", "other"),
            RemoteConfiguration.profiles("x"));

    private final Map<String, Integer> counts = new TreeMap<>();
    private final Driver driver;

    private RemoteFiles(String path) throws IOException {
        driver = new Driver(path);
    }

    /** Runs. */
    public static void main(String[] arguments) throws Exception {
        RemoteGenerator generator = new RemoteGenerator(Long.parseLong(arguments[1]));
        RemoteFiles files = new RemoteFiles(arguments[0]);
        int count = Integer.parseInt(arguments[2]);
        int failed = 0;
        for (int i = 0; i < count; i++) {
            RemoteGenerator.File file = generator.make(i);
            String wrong = files.complaint(file);
            if (!wrong.isEmpty() && ++failed <= MOST_PRINTED) {
                RemoteGenerator.File small = files.small(file);
                System.out.println("file " + i + ": " + files.complaint(small) + "\n" + small.text()
                        .indent(4) + "  webhook " + files.ask(small));
            }
        }
        System.out.println(files.counts);
        if (files.counts.getOrDefault("compared", 0) * 2 < count) {
            System.out.println("fewer than half were compared: the generator says too little that both take");
            failed++;
        }
        System.out.printf("%d passed, %d failed%n", count - failed, failed);
        System.exit(files.driver.end() != 0 || failed > 0 ? 1 : 0);
    }

    private JsonNode ask(RemoteGenerator.File file) throws Exception {
        return driver.ask(List.of(Map.of("file", file.key(), "text", file.text()))).get(0);
    }

    private void count(String what) {
        counts.merge(what, 1, Integer::sum);
    }

    /** Lines are taken out for as long as it is wrong. */
    private RemoteGenerator.File small(RemoteGenerator.File file) throws Exception {
        List<String> lines = new ArrayList<>(file.text().lines().toList());
        for (int i = 0; i < lines.size();) {
            List<String> fewer = new ArrayList<>(lines);
            fewer.remove(i);
            if (complaint(of(file, fewer)).isEmpty()) {
                i++;
            } else {
                lines = fewer;
            }
        }
        return of(file, lines);
    }

    private static RemoteGenerator.File of(RemoteGenerator.File file, List<String> lines) {
        return new RemoteGenerator.File(file.key(), String.join("\n", lines) + "\n");
    }

    private String complaint(RemoteGenerator.File file) throws Exception {
        JsonNode said = ask(file);
        List<Map<String, Object>> read = new ArrayList<>();
        try {
            for (Environment environment : PROFILES) {
                read.add(RemoteConfiguration.read(file.key(), file.text(), environment));
            }
        } catch (RuntimeException e) {
            count("refused by Spring"); // and so it sets nothing
            return "";
        }
        if (said.get("limit").booleanValue()) {
            count("denied by a limit");
            return "";
        }
        if (said.get("problem").booleanValue()) {
            return "called unreadable";
        }
        count("compared");
        Map<String, List<JsonNode>> known = new LinkedHashMap<>();
        List<JsonNode> activating = new ArrayList<>();
        said.get("properties").forEach(property -> (property.get("activates").booleanValue()
                ? activating
                : known.computeIfAbsent(property.get("name").stringValue(),
                        name -> new ArrayList<>())).add(property));
        for (Map<String, Object> properties : read) {
            String wrong = missed(properties, known);
            if (wrong.isEmpty()) {
                wrong = activated(properties, activating);
            }
            if (wrong.isEmpty()) {
                wrong = rank(properties, said.get("rank").stringValue());
            }
            if (!wrong.isEmpty()) {
                return wrong;
            }
        }
        return invented(read, known);
    }

    private static String shown(String name) {
        return name.replace('\0', '\ufffd');
    }

    /** What Spring reads of registries is known with its value, or as one that is not. */
    private String missed(Map<String, Object> properties, Map<String, List<JsonNode>> known) {
        for (Map.Entry<String, Object> entry : properties.entrySet()) {
            if (!Judge.uniform(entry.getKey()).startsWith("nvcfregistries")) {
                continue;
            }
            count("properties");
            String value = entry.getValue().toString();
            if (known.getOrDefault(shown(entry.getKey()), List.of()).stream()
                    .noneMatch(one -> one.get("unreadable").booleanValue()
                            || one.get("value").stringValue().equals(value))) {
                return "not known: " + shown(entry.getKey()) + "=" + value;
            }
        }
        return "";
    }

    /**
     * What Spring Cloud takes for more profiles, as PropertySourceBootstrapConfiguration asks for
     * them: the source itself, and Boot's view of all sources, in which other spellings count.
     */
    private String activated(Map<String, Object> properties, List<JsonNode> activating) {
        MapPropertySource source = new MapPropertySource("remote", properties);
        for (String name : List.of("spring.profiles.include", "spring.profiles.active")) {
            ConfigurationProperty viewed = ConfigurationPropertySource.from(source)
                    .getConfigurationProperty(ConfigurationPropertyName.of(name));
            List<Object> values = new ArrayList<>();
            values.add(source.getProperty(name));
            values.add(viewed == null ? null : viewed.getValue());
            for (Object value : values) {
                if (value == null) {
                    continue;
                }
                count("lists of profiles");
                if (activating.stream().noneMatch(one -> one.get("unreadable").booleanValue()
                        || one.get("value").stringValue().equals(value.toString()))) {
                    return "makes profiles active, unseen: " + name + "=" + value;
                }
            }
        }
        return "";
    }

    /** What is said to be set whatever the profile, and only once, is so. */
    private String invented(List<Map<String, Object>> read, Map<String, List<JsonNode>> known) {
        for (Map.Entry<String, List<JsonNode>> entry : known.entrySet()) {
            JsonNode one = entry.getValue().get(0);
            if (entry.getValue().size() > 1 || one.get("conditional").booleanValue()
                    || one.get("unreadable").booleanValue() || entry.getKey().matches(".*\\[\\d+]")) {
                continue;
            }
            String value = one.get("value").stringValue();
            for (Map<String, Object> properties : read) {
                if (properties.entrySet().stream().noneMatch(
                        property -> shown(property.getKey()).equals(entry.getKey())
                                && property.getValue().toString().equals(value))) {
                    return "not there: " + entry.getKey() + "=" + value;
                }
            }
        }
        return "";
    }

    private String rank(Map<String, Object> properties, String said) {
        count("place " + said);
        if (said.equals("unclear")) {
            return "";
        }
        String is;
        try {
            PropertySourceBootstrapProperties wishes = Reference
                    .wishes(List.of(new MapPropertySource("remote", properties)));
            is = !wishes.isAllowOverride() ? "first" : wishes.isOverrideNone() ? "last"
                    : wishes.isOverrideSystemProperties() ? "first" : "below";
        } catch (RuntimeException e) {
            return ""; // no boolean: the API does not start
        }
        return is.equals(said) ? "" : "believed to come " + said + ", but comes " + is;
    }
}
