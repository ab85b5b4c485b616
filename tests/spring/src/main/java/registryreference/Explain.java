package registryreference;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What the webhook's own {@code explain} says of variables: the program itself is run. */
final class Explain {

    private static final int AT_ONCE = 200;
    private static final int MOST_KNOWN = 50_000;

    private final JsonMapper mapper = JsonMapper.builder().build();
    private final Map<String, String> known = new ConcurrentHashMap<>();
    private final String webhook;

    Explain(String webhook) {
        this.webhook = webhook;
    }

    /** By variable, the effect that explain tells of. */
    Map<String, String> effects(List<Generator.Case> cases) {
        if (known.size() > MOST_KNOWN) {
            known.clear();
        }
        Set<String> names = new LinkedHashSet<>();
        cases.forEach(one -> one.env().keySet().forEach(name -> {
            if (!name.startsWith(Generator.REMOTE) && !known.containsKey(name)) {
                names.add(name);
            }
        }));
        List<String> all = List.copyOf(names);
        IntStream.iterate(0, i -> i < all.size(), i -> i + AT_ONCE).parallel().forEach(
                i -> ask(all.subList(i, Math.min(all.size(), i + AT_ONCE))));
        return known;
    }

    private void ask(List<String> names) {
        List<String> command = new ArrayList<>(List.of(webhook, "explain", "-o", "json", "--"));
        command.addAll(names);
        try {
            Process process = new ProcessBuilder(command)
                    .redirectError(ProcessBuilder.Redirect.INHERIT).start();
            String[] lines = new String(process.getInputStream().readAllBytes(),
                    StandardCharsets.UTF_8).split("\n");
            if (process.waitFor() > 1 || lines.length != names.size()) {
                throw new IOException("explain failed for " + names);
            }
            for (int i = 0; i < lines.length; i++) {
                JsonNode node = mapper.readTree(lines[i]);
                if (!node.get("variable").stringValue().equals(names.get(i))) {
                    throw new IOException("explain mixed up " + names.get(i));
                }
                known.put(names.get(i), node.get("effect").stringValue());
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
