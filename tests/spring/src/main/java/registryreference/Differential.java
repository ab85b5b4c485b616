package registryreference;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Compares the webhook with Spring on generated cases: {@code Differential DRIVER WEBHOOK SEED COUNT [FROM]}.
 * Every disagreement is made as small as it stays one, and printed. Ends with "N passed, N failed";
 * exit code 1 when anything failed.
 */
public final class Differential {

    private static final int CHUNK = 4000;
    private static final int MOST_PRINTED = 20;

    private final JsonMapper mapper = JsonMapper.builder().build();
    private final Judge judge = new Judge(new Reference());
    private final Map<String, Integer> sorts = new java.util.TreeMap<>();
    private final Driver driver;
    private final Explain explain;

    private Differential(String path, String webhook) throws IOException {
        explain = new Explain(webhook);
        driver = new Driver(path);
    }

    /** Runs. */
    public static void main(String[] arguments) throws Exception {
        long seed = Long.parseLong(arguments[2]);
        long count = Long.parseLong(arguments[3]);
        long from = arguments.length > 4 ? Long.parseLong(arguments[4]) : 0;
        System.out.printf("seed %d, %d generated cases%n", seed, count);
        Differential differential = new Differential(arguments[0], arguments[1]);
        long failed = differential.run(new Generator(seed), from, count);
        differential.sorts.forEach((sort, number) -> System.out.println(number + " x " + sort));
        System.out.println(differential.judge.statistics());
        System.out.printf("%d passed, %d failed%n", count - failed, failed);
        System.exit(differential.driver.end() != 0 || failed > 0 ? 1 : 0);
    }

    private long run(Generator generator, long from, long count) throws Exception {
        long failed = 0;
        for (long start = from; start < from + count; start += CHUNK) {
            long first = start;
            int size = (int) Math.min(CHUNK, from + count - start);
            List<Generator.Case> cases = IntStream.range(0, size).parallel()
                    .mapToObj(i -> generator.make(first + i)).toList();
            List<JsonNode> answers = ask(cases);
            Map<String, String> effects = explain.effects(cases);
            List<String> complaints = IntStream.range(0, size).parallel()
                    .mapToObj(i -> judge.compare(cases.get(i), answers.get(i), effects)).toList();
            for (int i = 0; i < size; i++) {
                if (!complaints.get(i).isEmpty()) {
                    failed++;
                    String sort = sort(complaints.get(i));
                    int before = sorts.merge(sort, 1, Integer::sum);
                    if (before <= 3 && failed <= MOST_PRINTED * 10) {
                        report(cases.get(i));
                    }
                }
            }
        }
        return failed;
    }

    private List<JsonNode> ask(List<Generator.Case> cases) throws Exception {
        return driver.ask(cases.stream().map(Differential::line).toList());
    }

    private static Map<String, Object> line(Generator.Case one) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("id", one.number());
        line.put("service", one.service());
        line.put("env", one.env());
        line.put("policy", one.policy());
        line.put("hosts", one.hosts());
        return line;
    }

    private String complaint(Generator.Case one) throws Exception {
        return judge.compare(one, ask(List.of(one)).get(0), explain.effects(List.of(one)));
    }

    /** A complaint without what differs from case to case. */
    private static String sort(String complaint) {
        return complaint.replaceAll("(?<=\\bas \\w{1,30}\\b).*", "").replaceAll("\\[.*|\".*", "");
    }

    /** Takes out variables and registries of the policy for as long as the disagreement stays. */
    private void report(Generator.Case found) throws Exception {
        Generator.Case small = found;
        String sort = sort(complaint(found));
        boolean again = true;
        while (again) {
            again = false;
            for (Generator.Case smaller : smaller(small)) {
                if (sort(complaint(smaller)).equals(sort)) {
                    small = smaller;
                    again = true;
                    break;
                }
            }
        }
        System.out.println("case " + found.number() + ": " + complaint(small));
        System.out.println("  given   " + mapper.writeValueAsString(line(small)));
        System.out.println("  webhook " + mapper.writeValueAsString(ask(List.of(small)).get(0)));
        System.out.println("  Spring  " + judge.spring(small));
    }

    @SuppressWarnings("unchecked")
    private static List<Generator.Case> smaller(Generator.Case one) {
        List<Generator.Case> result = new ArrayList<>();
        Map<String, Object> registries = (Map<String, Object>) one.policy().get("registries");
        for (String key : registries.keySet()) {
            Map<String, Object> fewer = new LinkedHashMap<>(registries);
            fewer.remove(key);
            Map<String, Object> policy = new LinkedHashMap<>(one.policy());
            policy.put("registries", fewer);
            result.add(new Generator.Case(one.number(), one.service(), one.env(), policy,
                    one.hosts()));
        }
        for (String host : one.hosts()) {
            List<String> fewer = new ArrayList<>(one.hosts());
            fewer.remove(host);
            result.add(new Generator.Case(one.number(), one.service(), one.env(), one.policy(),
                    fewer));
        }
        for (String name : one.env().keySet()) {
            Map<String, String> fewer = new LinkedHashMap<>(one.env());
            fewer.remove(name);
            result.add(new Generator.Case(one.number(), one.service(), fewer, one.policy(),
                    one.hosts()));
        }
        return result;
    }
}
