package registryreference;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.springframework.boot.SpringApplication;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.core.env.StandardEnvironment;
import tools.jackson.databind.json.JsonMapper;

/**
 * The quick binding of the batch mode and a whole SpringApplication.run, bootstrap context
 * included, say the same about a sample of the experiments; and one is done with a real process
 * environment.
 */
class AgreementTest {

    /** Every n-th experiment; 1 for all of them. */
    private static final int STEP = Integer.getInteger("agreement.step", 4);

    private final JsonMapper mapper = JsonMapper.builder().build();

    @TestFactory
    Stream<DynamicTest> wholeApplication() throws Exception {
        List<Experiments.Experiment> all = Experiments.run(ExperimentsTest.FILE);
        return IntStream.range(0, all.size()).filter(i -> i % STEP == 0
                || all.get(i).section().equals("Sources"))
                .mapToObj(i -> DynamicTest.dynamicTest(all.get(i).node().toString(), () -> {
                    Map<String, Object> quick = all.get(i).answer();
                    Map<String, Object> whole = start(all.get(i).input());
                    assertEquals(withoutOrder(quick), withoutOrder(whole));
                }));
    }

    /** Texts apart: what they list, and which of two equal ones comes first, is in hash order. */
    private String withoutOrder(Map<String, Object> answer) {
        if (!Boolean.TRUE.equals(answer.get("starts"))) {
            answer.keySet().removeAll(List.of("message", "rootMessage"));
        }
        return mapper.writeValueAsString(answer);
    }

    private static Map<String, Object> start(Input input) {
        Map<String, Object> env = new HashMap<>(input.env());
        env.put("SPRING_PROFILES_ACTIVE", "ncp");
        env.put("REFERENCE_SERVICE", input.service());
        SpringApplication application = Application.application();
        application.setEnvironment(new StandardEnvironment() {
            @Override
            public Map<String, Object> getSystemEnvironment() {
                return env;
            }

            @Override
            public Map<String, Object> getSystemProperties() {
                return new HashMap<>(input.properties());
            }
        });
        RemoteConfiguration.text = input.remote();
        try (ConfigurableApplicationContext context =
                application.run(input.args().toArray(String[]::new))) {
            return Answers.started(context.getBean(Registries.class), input);
        } catch (Exception e) {
            return Answers.failed(e);
        } finally {
            RemoteConfiguration.text = null;
        }
    }

    @Test
    void realProcess() throws Exception {
        Path output = Files.createTempFile("reference", ".out");
        ProcessBuilder builder = new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-cp",
                System.getProperty("java.class.path"), Application.class.getName(),
                "--nvcf.registries.recognized.container.quay.hostname=quay.io");
        builder.environment().clear();
        builder.environment().put("SPRING_PROFILES_ACTIVE", "ncp");
        builder.environment().put("NVCF_REGISTRIES_RECOGNIZED_CONTAINER_GHCR_NAME", "GitHub");
        builder.environment().put("NVCF_REGISTRIES_RECOGNIZED_CONTAINER_GHCR_HOSTNAME", "ghcr.io");
        builder.environment().put("NVCF_REGISTRIES_RECOGNIZED_CONTAINER_QUAY_NAME", "Quay");
        builder.environment().put("NVCF_REGISTRIES_RECOGNIZED_CONTAINER_QUAY_HOSTNAME", "wrong");
        Process process = builder.redirectErrorStream(true).redirectOutput(output.toFile()).start();
        assertEquals(0, process.waitFor());
        String text = Files.readString(output, StandardCharsets.UTF_8);
        Files.delete(output);
        assertTrue(text.contains("ngc\tNGC Private Registry\tnvcr.io\n"), text);
        assertTrue(text.contains("ghcr\tGitHub\tghcr.io\n"), text);
        assertTrue(text.contains("quay\tQuay\tquay.io\n"), text);
    }
}
