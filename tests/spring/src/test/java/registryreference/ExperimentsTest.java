package registryreference;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Every experiment that docs/SPRING.md tells of still comes out as it was recorded. */
class ExperimentsTest {

    static final Path FILE = Path.of("src/test/resources/experiments.jsonl");

    @TestFactory
    Stream<DynamicTest> experiments() throws Exception {
        return Experiments.run(FILE).stream().map(experiment -> DynamicTest.dynamicTest(
                experiment.node().toString(),
                () -> assertEquals(experiment.want(), experiment.got())));
    }
}
