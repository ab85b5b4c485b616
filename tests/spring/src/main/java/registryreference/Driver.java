package registryreference;

import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The webhook's side of a comparison: a program that answers each line of JSON with one. */
final class Driver {

    private final JsonMapper mapper = JsonMapper.builder().build();
    private final Process process;
    private final BufferedWriter to;
    private final BufferedReader from;

    Driver(String path) throws IOException {
        process = new ProcessBuilder(path).redirectError(ProcessBuilder.Redirect.INHERIT).start();
        to = new BufferedWriter(new OutputStreamWriter(process.getOutputStream(),
                StandardCharsets.UTF_8), 1 << 16);
        from = new BufferedReader(new InputStreamReader(process.getInputStream(),
                StandardCharsets.UTF_8), 1 << 16);
    }

    /** One answer for each; written meanwhile, since neither side waits with more than a pipe holds. */
    List<JsonNode> ask(List<?> questions) throws Exception {
        CompletableFuture<Void> writing = CompletableFuture.runAsync(() -> write(questions));
        List<JsonNode> answers = new ArrayList<>();
        for (int i = 0; i < questions.size(); i++) {
            String text = from.readLine();
            if (text == null) {
                throw new IOException("the driver ended after " + i + " of " + questions.size());
            }
            answers.add(mapper.readTree(text));
        }
        writing.get();
        return answers;
    }

    private void write(List<?> questions) {
        try {
            for (Object question : questions) {
                to.write(mapper.writeValueAsString(question));
                to.write('\n');
            }
            to.flush();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Ends it; its exit code. */
    int end() throws Exception {
        to.close();
        return process.waitFor();
    }
}
