package registryreference;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * The experiments behind docs/SPRING.md: a file of inputs with a section, a note and the answer
 * that was recorded. {@code record FILE} writes the answers anew; {@code print FILE} prints them as
 * the table that stands in the document.
 */
public final class Experiments {

    private Experiments() {
    }

    /** One line of the file, and what Spring says today. */
    record Experiment(String section, String note, String want, String got, JsonNode node,
            Input input, Map<String, Object> answer) {
    }

    static List<Experiment> run(Path file) throws IOException {
        JsonMapper mapper = JsonMapper.builder().build();
        Reference reference = new Reference();
        Compact compact = new Compact(reference.answer(Input.of(mapper.readTree("{}"))));
        List<Experiment> result = new ArrayList<>();
        for (String line : Files.readAllLines(file)) {
            JsonNode node = mapper.readTree(line);
            Input input = Input.of(node);
            Map<String, Object> answer = reference.answer(input);
            result.add(new Experiment(text(node, "section"), text(node, "note"),
                    text(node, "want"), compact.of(answer), node, input, answer));
        }
        return result;
    }

    private static String text(JsonNode node, String field) {
        return node.get(field) == null ? "" : node.get(field).stringValue();
    }

    /** Records or prints. */
    public static void main(String[] arguments) throws IOException {
        Path file = Path.of(arguments[1]);
        if (arguments[0].equals("record")) {
            List<String> lines = new ArrayList<>();
            for (Experiment experiment : run(file)) {
                ObjectNode node = (ObjectNode) experiment.node();
                node.put("want", experiment.got());
                lines.add(node.toString());
            }
            Files.write(file, lines);
            return;
        }
        StringBuilder out = new StringBuilder();
        String section = null;
        for (Experiment experiment : run(file)) {
            if (!experiment.section().equals(section)) {
                section = experiment.section();
                out.append("\n### ").append(section)
                        .append("\n\n| given | Spring |\n|---|---|\n");
            }
            out.append("| ").append(given(experiment)).append(" | ")
                    .append(code(experiment.got())).append(" |\n");
        }
        System.out.print(out);
    }

    private static String given(Experiment experiment) {
        List<String> parts = new ArrayList<>();
        experiment.node().properties().forEach(field -> {
            switch (field.getKey()) {
                case "env" -> field.getValue().properties().forEach(variable -> parts
                        .add(code(variable.getKey() + "=" + variable.getValue().stringValue())));
                case "properties" -> field.getValue().properties().forEach(property -> parts.add(
                        code("-D" + property.getKey() + "=" + property.getValue().stringValue())));
                case "args" -> field.getValue()
                        .forEach(argument -> parts.add(code(argument.stringValue())));
                case "json" -> parts.add("JSON " + code(field.getValue().toString()));
                case "remote" -> parts.add("remote " + code(field.getValue().stringValue()));
                case "service" -> parts.add("service " + field.getValue().stringValue());
                default -> {
                }
            }
        });
        String note = experiment.note();
        return (note.isEmpty() ? "" : note + ": ") + String.join(" ", parts);
    }

    /** As Markdown code in a table cell, with the long prefixes shortened and odd characters shown. */
    private static String code(String text) {
        String s = text.replace("NVCF_REGISTRIES_RECOGNIZED_", "R_")
                .replace("nvcf_registries_recognized_", "r_")
                .replace("nvcf.registries.recognized.", "r.").replace("|", "\\|");
        StringBuilder out = new StringBuilder();
        s.chars().forEach(c -> {
            if (c < ' ' || (c > '~' && c < 0xa1) || c == 0xad || (c >= 0x2000 && c < 0x2070)
                    || c == 0x3000) {
                out.append(c == '\n' ? "\u23ce" : String.format("<U+%04X>", c));
            } else {
                out.append((char) c);
            }
        });
        String ticks = out.indexOf("`") >= 0 ? "``" : "`";
        return ticks + (ticks.length() > 1 ? " " : "") + out + (ticks.length() > 1 ? " " : "") + ticks;
    }
}
