package registryreference;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Makes environments and policies: mostly sensible ones, bent a little, so that all rules are met
 * often, near their edges, and together. The same seed and number give the same case.
 */
final class Generator {

    /**
     * One case.
     *
     * @param number  its number, from which it was made
     * @param service nvcf or nvct
     * @param env     the environment, in the container's order; then, with {@link #REMOTE} before
     *                their names, the properties of the remote configuration
     * @param policy  the policy as JSON-able maps: mode, unlisted, registries by key
     * @param hosts   host names on their own
     */
    record Case(long number, String service, Map<String, String> env, Map<String, Object> policy,
            List<String> hosts) {
    }

    /** Before the name of a property of the remote configuration, in an environment's map. */
    static final String REMOTE = "remote:";

    private static final List<String> BUILT_IN = List.of("NGC", "DOCKER", "ECR", "ECR_PUBLIC",
            "ECRPUBLIC", "ECR-PUBLIC", "ACR", "VOLCENGINE", "HARBOR", "ARTIFACTORY");
    private static final List<String> KEYS = List.of("GHCR", "QUAY", "MYREG", "CORP", "A", "B1",
            "X2Y", "INTERNAL");
    private static final List<String> ODD_KEYS = List.of("MY_REG", "MY-REG", "123", "0", "3SCALE",
            "GH!CR", "-GHCR", "GHCR-", "G-HCR", "GH.CR", "GH CR", "NAME", "HOSTNAME", "_", "1_2",
            "ECR_PRIVATE", "ECR_PUBLIC_X", "DOC-KER", "DOCKER-", "HAR-BOR", "E-CR", "A_B_C", "--",
            "!", "0_1", "00", "ECR--PUBLIC", "NGC_2", "CONTAINER", "Ghcr", "gHCR", "GHCR$", "Q/UAY");
    private static final List<String> TUNING = List.of("CALLTIMEOUT", "CALL_TIMEOUT", "READTIMEOUT",
            "WRITE_TIMEOUT", "CONNECTION-TIMEOUT", "OAUTH2_BASEURL", "OAUTH2_BASE_URL",
            "OAUTH2_GROUPSCOPE", "CREDENTIALVALIDATION_ENABLED", "CREDENTIAL_VALIDATION_ENABLED",
            "ARTIFACTVALIDATION_ENABLED", "ARTIFACT-VALIDATION_ENABLED");
    private static final List<String> STRAY = List.of("FOO", "NAME_0", "HOSTNAME_X", "HOST_NAME",
            "HOST-NAME", "NAME_NAME", "CREDENTIALVALIDATION", "OAUTH2", "0_NAME", "FOO_HOSTNAME",
            "OAUTH_2_BASEURL", "CALL_TIME_OUT", "CREDENTIALVALIDATION_ENABLED_X");
    private static final List<String> NAMES = List.of("GitHub", "Quay", "Corp", "Corp", "Internal",
            "Docker Hub Registry", "docker hub registry", "Harbor Registry",
            "AWS ECR Public Registry", "", " ", "\t", "\u00a0", "\u2003", " Corp", "Corp ", "x",
            "JFrog Artifactory Registry", "NGC Private Registry", "\u00dcber \"Reg\"", "0", "true");
    private static final List<String> HOSTS = List.of("ghcr.io", "quay.io", "registry.corp.example",
            "registry.corp.example", "internal.example", "docker.io", "nvcr.io", "public.ecr.aws",
            "stg.nvcr.io", "", " ", "ghcr.io:5000", "https://ghcr.io", "ghcr.io/org", "GHCR.io",
            "ghcr.io.", "my_reg.io", "canary.nvcr.io", "helm.canary.ngc.nvidia.com",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com", "x.azurecr.io", "azurecr.io",
            "a-cn-beijing.cr.volces.com", "10.0.0.1", "10.0.0.256", "reg.1corp", "registry",
            "localhost", "-a.io", "a-.io", "a..io", "[::1]", "httpd.example", " ghcr.io",
            "\u00fc.example", "a.b.c.d.e", "1.io", "12", "user@ghcr.io", "dkr.ecr.amazonaws.com");
    private static final List<String> TIMEOUTS = List.of("10s", "500", "PT5S", "1m", "", "abc",
            "10 s", "5w", "-1s", "2d", "P1D", "10S");
    private static final List<String> SWITCHES = List.of("true", "false", "yes", "OFF", "1", "maybe",
            "", " true ");
    private static final List<String> TYPES = List.of("HELM", "MODEL", "RESOURCE");

    private final long seed;

    Generator(long seed) {
        this.seed = seed;
    }

    Case make(long number) {
        return new Maker(new Dice(seed * 1_000_003L + number)).make(number);
    }

    private static final class Maker {

        private final Dice dice;
        private final Map<String, String> env = new LinkedHashMap<>();
        private String root = "NVCF";
        private int parting; // where the words of this entry's variables may be parted

        Maker(Dice dice) {
            this.dice = dice;
        }

        Case make(long number) {
            if (dice.chance(20)) {
                root = "NVCT";
            }
            Map<String, Object> policy = policy();
            int entries = dice.below(5);
            boolean sane = dice.chance(45);
            for (int i = 0; i < entries; i++) {
                entry(sane);
            }
            if (dice.chance(15)) {
                put("SOME_OTHER_VARIABLE", "x");
            }
            if (dice.chance(3)) {
                put(root + "_REGISTRIES_RECOGNIZED" + (dice.chance(50) ? "" : "_CONTAINER"), "x");
            }
            if (dice.chance(3)) {
                put(dice.pick(List.of("_REGISTRIES_RECOGNISED_CONTAINER_A_NAME",
                        "REGISTRIES_RECOGNIZED_CONTAINER_A_NAME",
                        "_REGISTRIES_RECOGNIZED_CONTAINERS_A_NAME", "_REGISTRIES_CONTAINER_A_NAME",
                        "-REGISTRIES_RECOGNIZED_CONTAINER_A_NAME",
                        "_REGISTRIES_RECOGNIZED_0_CONTAINER_A_NAME"))
                        .transform(rest -> root + rest), dice.pick(NAMES));
            }
            if (dice.chance(10)) {
                remote();
            }
            List<String> hosts = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                hosts.add(host());
            }
            return new Case(number, root.toLowerCase(Locale.ROOT), env, policy, hosts);
        }

        private String label() {
            String characters = dice.chance(85) ? "abcxyz0189-" : "ab0-_.ABZ%:/@[]!$&'()*+,;=~ \\\t?#\u00e9";
            StringBuilder out = new StringBuilder();
            for (int n = dice.chance(95) ? 1 + dice.below(5) : dice.below(70); n > 0; n--) {
                out.append(characters.charAt(dice.below(characters.length())));
            }
            return out.toString();
        }

        private String number() {
            return String.valueOf(dice.below(dice.chance(85) ? 256 : 1000));
        }

        /** A host name, sound or not. */
        private String host() {
            String host = switch (dice.below(10)) {
                case 0 -> number() + "." + number() + "." + number() + "." + number();
                case 1 -> dice.pick(List.of("[::1]", "[fe80::1]", "[2001:db8::10]", "[::ffff:1.2.3.4]",
                        "[1:2:3:4:5:6:7:8]", "[:::]", "[1]", "[::g]", "[1::2::3]", "[]", "[::1",
                        "[1:2:3:4:5:6:7]", "[::1%eth0]", "[::00001]", "[1:2:3:4:5:6:7:8:9]",
                        "[::1.2.3]", "[ABCD::1]", "[1:2:3:4:5:6:7::]", "[::2:3:4:5:6:7:8]"));
                case 2 -> (dice.chance(90) ? "123456789012" : "12345678901") + ".dkr.ecr."
                        + dice.pick(List.of("us-east-1", "eu-west-3", "cn-north-1", "us-gov-west-1",
                                "aws-global", "us-iso-east-1", "moon", "us-east", "aws-iso-global"))
                        + ".amazonaws.com" + (dice.chance(10) ? ".cn" : "");
                case 3 -> label() + "-" + dice.pick(List.of("cn-beijing", "ap-southeast-1", "cn-mars",
                        "ap-southeast-2", "cn-hongkong")) + ".cr.volces.com";
                case 4 -> label() + dice.pick(List.of(".azurecr.io", "azurecr.io", ".azurecr.io.example",
                        ".azurecr.com"));
                case 5 -> dice.pick(HOSTS);
                default -> label();
            };
            while (dice.chance(50)) {
                host = dice.chance(80) ? host + "." + label() : label() + "." + host;
            }
            return switch (dice.below(25)) {
                case 0 -> host + ":" + number();
                case 1 -> "https://" + host;
                case 2 -> host + "/";
                case 3 -> host + ".";
                case 4 -> "http" + host;
                case 5 -> host.toUpperCase(Locale.ROOT);
                default -> host;
            };
        }

        /** Properties of the remote configuration; in the environment's map, after all variables. */
        private void remote() {
            String key = dice.chance(60) ? dice.pick(KEYS)
                    : dice.chance(70) ? dice.pick(BUILT_IN) : dice.pick(ODD_KEYS);
            String prefix = root + "_REGISTRIES_RECOGNIZED_"
                    + (dice.chance(90) ? "CONTAINER" : dice.pick(TYPES)) + "_"
                    + (dice.chance(70) ? key.toLowerCase(Locale.ROOT) : key);
            if (dice.chance(80)) {
                put(REMOTE + dotted(prefix, "NAME"), dice.chance(50) ? key : dice.pick(NAMES));
            }
            if (dice.chance(80)) {
                put(REMOTE + dotted(prefix, "HOSTNAME"),
                        dice.chance(50) ? "remote.example" : dice.pick(HOSTS));
            }
            if (dice.chance(20)) {
                put(REMOTE + dotted(prefix, "CALLTIMEOUT"), dice.pick(TIMEOUTS));
            }
        }

        private Map<String, Object> policy() {
            Map<String, Object> policy = new LinkedHashMap<>();
            policy.put("mode", dice.chance(85) ? "Inject" : "Check");
            policy.put("unlisted", dice.pick(List.of("Warn", "Warn", "Warn", "Allow", "Deny", "Remove")));
            Map<String, Object> registries = new LinkedHashMap<>();
            int count = dice.chance(60) ? 0 : 1 + dice.below(2);
            for (int i = 0; i < count; i++) {
                String key = dice.pick(KEYS);
                registries.put(key, Map.of("name", "Policy " + key, "hostname",
                        key.toLowerCase(Locale.ROOT) + ".policy.example"));
            }
            if (dice.chance(5)) {
                registries.put("HARBOR",
                        Map.of("name", "Harbor Registry", "hostname", "harbor.policy.example"));
            }
            policy.put("registries", registries);
            return policy;
        }

        private void put(String name, String value) {
            if (!name.isEmpty()) {
                env.putIfAbsent(name, value);
            }
        }

        private void entry(boolean sane) {
            String type = dice.chance(sane ? 95 : 85) ? "CONTAINER" : dice.pick(TYPES);
            String key = dice.chance(sane ? 90 : 40) ? dice.pick(KEYS)
                    : dice.chance(50) ? dice.pick(BUILT_IN) : dice.pick(ODD_KEYS);
            String prefix = root + "_REGISTRIES_RECOGNIZED_" + type + "_" + key;
            parting = 1 + dice.below(35);
            boolean tuningOnly = BUILT_IN.contains(key) && dice.chance(50);
            int style = sane && dice.chance(85) ? 0 : dice.below(12);
            if (!tuningOnly && dice.chance(sane ? 97 : 85)) {
                put(spell(prefix, "NAME", dice.chance(90) ? style : dice.below(12)),
                        sane && dice.chance(90) ? key + dice.below(3) : dice.pick(NAMES));
            }
            if (!tuningOnly && dice.chance(sane ? 97 : 85)) {
                put(spell(prefix, "HOSTNAME", dice.chance(90) ? style : dice.below(12)),
                        sane && dice.chance(90)
                                ? key.toLowerCase(Locale.ROOT).replaceAll("[^a-z]", "")
                                        + dice.below(3) + ".example"
                                : dice.pick(HOSTS));
            }
            if (tuningOnly || dice.chance(15)) {
                String property = dice.pick(TUNING);
                put(spell(prefix, property, dice.chance(80) ? 0 : dice.below(12)),
                        property.contains("TIMEOUT")
                                ? dice.chance(70) ? "10s" : dice.pick(TIMEOUTS)
                                : property.endsWith("ENABLED")
                                        ? dice.chance(70) ? "false" : dice.pick(SWITCHES) : "x");
            }
            if (dice.chance(sane ? 1 : 6)) {
                put(spell(prefix, dice.pick(STRAY), dice.below(12)), "x");
            }
            if (dice.chance(sane ? 0 : 3)) {
                put(prefix, dice.chance(50) ? "" : "x");
            }
            if (dice.chance(sane ? 0 : 8)) {
                put(spell(prefix, dice.chance(50) ? "NAME" : "HOSTNAME", dice.below(12)),
                        dice.chance(50) ? dice.pick(NAMES) : dice.pick(HOSTS));
            }
        }

        /** One of many ways to write it. */
        private String spell(String prefix, String property, int style) {
            String upper = prefix + "_" + property;
            return switch (style) {
                case 1 -> upper.toLowerCase(Locale.ROOT);
                case 2 -> mixed(upper);
                case 3 -> dotted(prefix, property).toLowerCase(Locale.ROOT);
                case 4 -> dotted(prefix, property);
                case 5 -> doubled(upper);
                case 6 -> dashed(upper);
                case 7 -> bracketed(prefix, property);
                case 8 -> upper.replaceFirst("_", dice.pick(List.of("-", ".", "", "__", " ")));
                case 9 -> sprinkled(upper);
                case 10 -> parted(upper);
                default -> upper;
            };
        }

        private String mixed(String text) {
            StringBuilder out = new StringBuilder();
            text.chars().forEach(c -> out.append(
                    dice.chance(30) ? Character.toLowerCase((char) c) : (char) c));
            return out.toString();
        }

        /** nvcf.registries.recognized.container.KEY.property, the key as it is or lower. */
        private String dotted(String prefix, String property) {
            String[] parts = prefix.split("_", 5);
            String key = parts.length == 5 ? parts[4] : "";
            String tail = property.equals("CALLTIMEOUT") ? "call-timeout"
                    : property.toLowerCase(Locale.ROOT).replace('_', dice.chance(50) ? '.' : '-');
            return String.join(".", parts[0], parts[1], parts[2], parts[3])
                    .toLowerCase(Locale.ROOT) + "." + (dice.chance(50) ? key.replace('_', '-') : key)
                    + "." + tail;
        }

        private String doubled(String text) {
            int at = dice.below(text.length());
            String extra = dice.chance(70) ? "_" : "__";
            return dice.chance(30) ? text + extra : dice.chance(20) ? extra + text
                    : text.substring(0, at) + extra + text.substring(at);
        }

        private String dashed(String text) {
            int at = dice.below(text.length());
            return text.substring(0, at) + "-" + text.substring(at);
        }

        /** A dash in one of the words before the key, or an underscore at the same place. */
        private String parted(String text) {
            String mark = dice.chance(60) ? "-" : "_";
            return text.substring(0, parting) + mark + text.substring(parting);
        }

        private String bracketed(String prefix, String property) {
            String[] parts = prefix.split("_", 5);
            String head = String.join("_", parts[0], parts[1], parts[2], parts[3]);
            String key = parts.length == 5 ? parts[4] : "";
            return switch (dice.below(4)) {
                case 0 -> head + "[" + key + "]_" + property;
                case 1 -> head + "_[" + key + "]_" + property;
                case 2 -> head.toLowerCase(Locale.ROOT).replace('_', '.') + "["
                        + key.replace(".", "") + "]."
                        + property.toLowerCase(Locale.ROOT);
                default -> head + "_" + key + "[" + property + "]";
            };
        }

        private String sprinkled(String text) {
            int at = dice.below(text.length());
            String odd = dice.pick(List.of("!", " ", "$", "/", ".", "[", "]", "~", "@", "{"));
            return text.substring(0, at) + odd + text.substring(at);
        }
    }
}
