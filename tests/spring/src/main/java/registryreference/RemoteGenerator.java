package registryreference;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

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
            "spring.config.import: %s");

    private final long seed;

    RemoteGenerator(long seed) {
        this.seed = seed;
    }

    File make(long number) {
        return new Maker(new SplittableRandom(seed * 1_000_033L + number)).make();
    }

    private static final class Maker {

        private final SplittableRandom random;
        private final StringBuilder out = new StringBuilder();
        private int named;
        private final List<String> anchors = new ArrayList<>(); // that an alias may name here

        Maker(SplittableRandom random) {
            this.random = random;
        }

        private boolean chance(int percent) {
            return random.nextInt(100) < percent;
        }

        private <T> T pick(List<T> list) {
            return list.get(random.nextInt(list.size()));
        }

        File make() {
            if (chance(10)) {
                return properties();
            }
            int documents = chance(50) ? 1 : 2 + random.nextInt(2);
            for (int i = 0; i < documents; i++) {
                out.append(i > 0 ? "---\n" : "");
                document();
            }
            return new File("nvcf-api.yaml", out.toString());
        }

        private File properties() {
            for (int n = 1 + random.nextInt(4); n > 0; n--) {
                out.append(pick(List.of("", "\\u0000", "\\ "))).append(ROOT).append('.')
                        .append(pick(List.of("docker", "ghcr", "do\\u0000cker", "dock\\\n er")))
                        .append(pick(List.of(".hostname", ".name", "[hostname]")))
                        .append(pick(List.of("=", ": ", " ")))
                        .append(pick(List.of("a.example", "b.example", "", "\\u0041",
                                "\u00fc", "\u212a"))).append('\n');
            }
            return new File("nvcf-api.properties", out.toString());
        }

        private void document() {
            anchors.clear();
            boolean late = chance(30);
            if (!late) {
                bound();
            }
            for (int n = 1 + random.nextInt(4); n > 0; n--) {
                line();
            }
            if (late) {
                bound();
            }
        }

        private void bound() {
            if (chance(35)) {
                out.append(String.format(pick(BOUND), pick(PROFILES))).append('\n');
            }
        }

        private void line() {
            switch (random.nextInt(10)) {
                case 0 -> out.append("spring.cloud.config.").append(pick(WISHES));
                case 1 -> out.append("spring: {cloud: {config: {").append(pick(WISHES)).append("}}}");
                case 2 -> out.append(pick(List.of("\"\\0", "\"", "\" "))).append(ROOT)
                        .append(".docker.hostname\": ").append(pick(HOSTS));
                case 3 -> out.append("<<: ").append(merged(ROOT + ": " + registries(2)));
                case 4 -> out.append("' ': {").append(ROOT).append(": ").append(registries(2))
                        .append('}');
                case 5 -> out.append("nvcf: {registries: {recognized: {container: ")
                        .append(registries(3)).append("}}}");
                case 6 -> out.append(ROOT).append(": !!omap [").append(pick(REGISTRIES))
                        .append(": ").append(registry(1)).append(", ").append(pick(REGISTRIES))
                        .append(": ").append(registry(1)).append(']');
                case 7 -> out.append(ROOT).append('.').append(pick(List.of("docker", "ghcr")))
                        .append(".hostname: ").append(pick(HOSTS));
                default -> out.append(ROOT).append(": ").append(registries(3));
            }
            out.append('\n');
        }

        /** A value of a merge key: the map itself, one in a list, or one that merges it. */
        private String merged(String pairs) {
            return switch (random.nextInt(5)) {
                case 0 -> "[{" + pairs + "}]";
                case 1 -> "{<<: {" + pairs + "}}";
                case 2 -> "[{<<: {" + pairs + "}}, {x: y}]";
                default -> "{" + pairs + "}";
            };
        }

        /** Names the map, or not; only then an alias may lead to it. */
        private String closed(StringBuilder map) {
            map.append('}');
            if (!chance(40)) {
                return map.toString();
            }
            String name = "a" + named++;
            anchors.add("*" + name);
            return "&" + name + " " + map;
        }

        private String mergeKey() {
            return chance(85) ? "<<: " : pick(List.of("! <<: ", "!!merge x: ", "! \"<<\": "));
        }

        private String registries(int depth) {
            StringBuilder map = new StringBuilder("{");
            for (int n = 1 + random.nextInt(3); n > 0; n--) {
                if (chance(30) && depth > 0) {
                    map.append(mergeKey()).append(!anchors.isEmpty() && chance(50)
                            ? pick(anchors) : chance(30) ? "[" + registries(depth - 1) + ", "
                                    + registries(depth - 1) + "]" : registries(depth - 1));
                } else {
                    map.append(chance(2) ? "0x1" : pick(REGISTRIES)).append(": ")
                            .append(registry(2));
                }
                map.append(n > 1 ? ", " : "");
            }
            return closed(map);
        }

        private String registry(int depth) {
            if (!anchors.isEmpty() && chance(20)) {
                return pick(anchors);
            }
            StringBuilder map = new StringBuilder("{");
            for (int n = 1 + random.nextInt(3); n > 0; n--) {
                if (chance(30) && depth > 0) {
                    map.append(mergeKey())
                            .append(!anchors.isEmpty() && chance(40) ? pick(anchors) : registry(depth - 1));
                } else {
                    map.append(pick(List.of("hostname", "hostname", "name", "\"host\\0name\"")))
                            .append(": ").append(pick(HOSTS));
                }
                map.append(n > 1 ? ", " : "");
            }
            return closed(map);
        }
    }
}
