package registryreference;

import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Standard input to standard output, one JSON object a line, in order. A line that is not an input
 * is answered with an object that has "error"; "id" is copied into the answer.
 */
public final class Batch {

    private static final int CHUNK = 2000;

    private Batch() {
    }

    /** Reads lines until the end of input. */
    public static void main(String[] arguments) throws IOException {
        System.setProperty("org.springframework.boot.logging.LoggingSystem", "none");
        PrintStream out = System.out;
        System.setOut(System.err);
        Reference reference = new Reference();
        JsonMapper mapper = JsonMapper.builder().build();
        boolean eager = List.of(arguments).contains("--line-by-line");
        try (BufferedReader reader = new BufferedReader(
                new InputStreamReader(System.in, StandardCharsets.UTF_8));
                BufferedWriter writer = new BufferedWriter(
                        new OutputStreamWriter(out, StandardCharsets.UTF_8), 1 << 16)) {
            List<String> lines = new ArrayList<>();
            for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                if (line.isBlank()) {
                    continue;
                }
                lines.add(line);
                if (eager || lines.size() == CHUNK) {
                    flush(lines, reference, mapper, writer);
                }
            }
            flush(lines, reference, mapper, writer);
        }
    }

    private static void flush(List<String> lines, Reference reference, JsonMapper mapper,
            BufferedWriter writer) throws IOException {
        List<String> answers = lines.parallelStream()
                .map(line -> answer(line, reference, mapper)).toList();
        for (String answer : answers) {
            writer.write(answer);
            writer.write('\n');
        }
        writer.flush();
        lines.clear();
    }

    private static String answer(String line, Reference reference, JsonMapper mapper) {
        try {
            JsonNode node = mapper.readTree(line);
            Map<String, Object> answer = reference.answer(Input.of(node));
            if (node.has("id")) {
                answer.put("id", node.get("id"));
            }
            return mapper.writeValueAsString(answer);
        } catch (JacksonException e) {
            return "{\"error\":\"not a JSON object of the expected shape\"}";
        }
    }
}
