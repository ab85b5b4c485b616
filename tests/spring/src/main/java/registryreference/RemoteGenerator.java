package registryreference;

import java.util.ArrayList;
import java.util.List;

/**
 * Makes files of a remote configuration: a few registries, said in all ways in which YAML and
 * SnakeYAML let one say a thing, so that two of them often meet. The same seed and number give the same
 * file. What it writes is YAML to both sides; what only one of them takes for YAML is not its subject.
 */
final class RemoteGenerator {

    /**
     * One file.
     *
     * @param key  its name in the ConfigMap
     * @param text what is in it
     */
    record File(String key, String text) {
    }

    private static final String ROOT = "nvcf.registries.recognized.container";
    private static final List<String> HOSTS = List.of("a.example", "b.example", "\"c.example\"",
            "docker.io", "~", "''", "12", "! 7", "true", "1_0", "0x10", "[x, y]", "[]", "{z: w}");
    private static final List<String> REGISTRIES = List.of("docker", "\"docker\"", "\"do\\0cker\"",
            "'[docker]'", "ghcr", "1", "\"1\"", "'[1]'", "true", "yes", "! \"1\"", "Docker");
    private static final List<String> WISHES = List.of("override-none: true",
            "override-none: false", "overrideNone: true", "allow-override: false",
            "override-system-properties: false", "override-none: [true]");
    private static final List<String> PROFILES = List.of("ncp", "other", "'!ncp'", "'ncp | x'",
            "''", "[ncp]");
    private static final List<String> BOUND = List.of("spring.config.activate.on-profile: %s",
            "spring.profiles: %s", "spring: {config: {activate: {on-profile: %s}}}",
            "<<: {spring.profiles: %s}", "<<: {spring: {config: {activate: {on-profile: %s}}}}",
            "' ': {spring.profiles: %s}", "\"spring.\\u0070rofiles\": %s",
            "p: &p spring.profiles\n*p : %s", "spring.profiles.group.x: %s",
            "spring.profiles.active: %s", "spring.config.activate.on-profile.x: %s",
            "spring.config.import: %s", "spring.profiles.include: %s", "Spring.Profiles.In-clude: %s",
            "spring: {profiles: {active: %s}}", "' ': {'spring.profiles[include]': %s}",
            "\"spring.profiles.\\u0130nclude\": %s", "spring.profiles.include[0]: %s");

    private final long seed;

    RemoteGenerator(long seed) {
        this.seed = seed;
    }

    File make(long number) {
        return new Maker(new Dice(seed * 1_000_033L + number)).make();
    }

    private static final class Maker {

        private final Dice dice;
        private final StringBuilder out = new StringBuilder();
        private int named;
        private final List<String> anchors = new ArrayList<>(); // that an alias may name here

        Maker(Dice dice) {
            this.dice = dice;
        }

        File make() {
            if (dice.chance(10)) {
                return properties();
            }
            int documents = dice.chance(50) ? 1 : 2 + dice.below(2);
            for (int i = 0; i < documents; i++) {
                out.append(i > 0 ? "---\n" : "");
                document();
            }
            return new File("nvcf-api.yaml", out.toString());
        }

        private File properties() {
            for (int n = 1 + dice.below(4); n > 0; n--) {
                out.append(dice.pick(List.of("", "\\u0000", "\\ "))).append(ROOT).append('.')
                        .append(dice.pick(List.of("docker", "ghcr", "do\\u0000cker", "dock\\\n er")))
                        .append(dice.pick(List.of(".hostname", ".name", "[hostname]")))
                        .append(dice.pick(List.of("=", ": ", " ")))
                        .append(dice.pick(List.of("a.example", "b.example", "", "\\u0041",
                                "\u00fc", "\u212a"))).append('\n');
            }
            return new File("nvcf-api.properties", out.toString());
        }

        private void document() {
            anchors.clear();
            boolean late = dice.chance(30);
            if (!late) {
                bound();
            }
            for (int n = 1 + dice.below(4); n > 0; n--) {
                line();
            }
            if (late) {
                bound();
            }
        }

        private void bound() {
            if (dice.chance(35)) {
                out.append(String.format(dice.pick(BOUND), dice.pick(PROFILES))).append('\n');
            }
        }

        private void line() {
            switch (dice.below(10)) {
                case 0 -> out.append("spring.cloud.config.").append(dice.pick(WISHES));
                case 1 -> out.append("spring: {cloud: {config: {").append(dice.pick(WISHES)).append("}}}");
                case 2 -> out.append(dice.pick(List.of("\"\\0", "\"", "\" "))).append(ROOT)
                        .append(".docker.hostname\": ").append(dice.pick(HOSTS));
                case 3 -> out.append("<<: ").append(merged(ROOT + ": " + registries(2)));
                case 4 -> out.append("' ': {").append(ROOT).append(": ").append(registries(2))
                        .append('}');
                case 5 -> out.append("nvcf: {registries: {recognized: {container: ")
                        .append(registries(3)).append("}}}");
                case 6 -> out.append(ROOT).append(": !!omap [").append(dice.pick(REGISTRIES))
                        .append(": ").append(registry(1)).append(", ").append(dice.pick(REGISTRIES))
                        .append(": ").append(registry(1)).append(']');
                case 7 -> out.append(ROOT).append('.').append(dice.pick(List.of("docker", "ghcr")))
                        .append(".hostname: ").append(dice.pick(HOSTS));
                default -> out.append(ROOT).append(": ").append(registries(3));
            }
            out.append('\n');
        }

        /** A value of a merge key: the map itself, one in a list, or one that merges it. */
        private String merged(String pairs) {
            return switch (dice.below(5)) {
                case 0 -> "[{" + pairs + "}]";
                case 1 -> "{<<: {" + pairs + "}}";
                case 2 -> "[{<<: {" + pairs + "}}, {x: y}]";
                default -> "{" + pairs + "}";
            };
        }

        /** Names the map, or not; only then an alias may lead to it. */
        private String closed(StringBuilder map) {
            map.append('}');
            if (!dice.chance(40)) {
                return map.toString();
            }
            String name = "a" + named++;
            anchors.add("*" + name);
            return "&" + name + " " + map;
        }

        private String mergeKey() {
            return dice.chance(85) ? "<<: " : dice.pick(List.of("! <<: ", "!!merge x: ", "! \"<<\": "));
        }

        private String registries(int depth) {
            StringBuilder map = new StringBuilder("{");
            for (int n = 1 + dice.below(3); n > 0; n--) {
                if (dice.chance(30) && depth > 0) {
                    map.append(mergeKey()).append(!anchors.isEmpty() && dice.chance(50)
                            ? dice.pick(anchors) : dice.chance(30) ? "[" + registries(depth - 1) + ", "
                                    + registries(depth - 1) + "]" : registries(depth - 1));
                } else {
                    map.append(dice.chance(2) ? "0x1" : dice.pick(REGISTRIES)).append(": ")
                            .append(registry(2));
                }
                map.append(n > 1 ? ", " : "");
            }
            return closed(map);
        }

        private String registry(int depth) {
            if (!anchors.isEmpty() && dice.chance(20)) {
                return dice.pick(anchors);
            }
            StringBuilder map = new StringBuilder("{");
            for (int n = 1 + dice.below(3); n > 0; n--) {
                if (dice.chance(30) && depth > 0) {
                    map.append(mergeKey())
                            .append(!anchors.isEmpty() && dice.chance(40) ? dice.pick(anchors)
                                    : registry(depth - 1));
                } else {
                    map.append(dice.pick(List.of("hostname", "hostname", "name", "\"host\\0name\"")))
                            .append(": ").append(dice.pick(HOSTS));
                }
                map.append(n > 1 ? ", " : "");
            }
            return closed(map);
        }
    }
}
