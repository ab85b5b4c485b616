package registryreference;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;

/**
 * One question: a pod's environment and whatever else can set a property.
 *
 * @param service    "nvcf" or "nvct"; the property root
 * @param env        environment variables, in the order in which the process has them
 * @param properties system properties (-D)
 * @param args       command line arguments
 * @param remote     remote configuration as YAML text, or null
 * @param images     image references to look up
 */
record Input(String service, Map<String, Object> env, Map<String, Object> properties,
        List<String> args, String remote, List<String> images) {

    static Input of(JsonNode node) {
        Map<String, Object> env = map(node.get("env"));
        JsonNode json = node.get("json");
        if (json != null) {
            env.put("SPRING_APPLICATION_JSON", json.isString() ? json.stringValue() : json.toString());
        }
        JsonNode service = node.get("service");
        JsonNode remote = node.get("remote");
        return new Input(service == null ? "nvcf" : service.stringValue(), env,
                map(node.get("properties")), list(node.get("args")),
                remote == null ? null : remote.isString() ? remote.stringValue() : remote.toString(),
                list(node.get("images")));
    }

    private static Map<String, Object> map(JsonNode node) {
        Map<String, Object> result = new LinkedHashMap<>();
        if (node != null) {
            node.properties().forEach(e -> result.put(e.getKey(), e.getValue().stringValue()));
        }
        return result;
    }

    private static List<String> list(JsonNode node) {
        List<String> result = new ArrayList<>();
        if (node != null) {
            node.forEach(e -> result.add(e.stringValue()));
        }
        return result;
    }
}
