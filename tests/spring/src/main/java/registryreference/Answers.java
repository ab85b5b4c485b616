package registryreference;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.springframework.boot.context.properties.bind.BindException;
import org.springframework.boot.context.properties.bind.validation.BindValidationException;
import org.springframework.boot.origin.Origin;
import org.springframework.util.PlaceholderResolutionException;
import org.springframework.validation.FieldError;

/** What a binding came to, in a form that becomes JSON. */
final class Answers {

    private Answers() {
    }

    static Map<String, Object> started(Registries registries, Input input) {
        Map<String, Object> answer = Reference.object();
        answer.put("starts", true);
        Map<String, Object> all = Reference.object();
        for (String type : Registries.TYPES) {
            List<Object> list = new ArrayList<>();
            for (Registries.Registry registry : registries.of(type)) {
                RegistryProperties.Entry entry = registries.entry(type, registry.key());
                Map<String, Object> one = Reference.object();
                one.put("key", registry.key());
                one.put("name", entry == null ? null : entry.getName());
                one.put("hostname", registry.hostname());
                if (entry != null && !registry.hostname().equals(entry.getHostname())) {
                    one.put("entryHostname", entry.getHostname());
                }
                one.put("known", registry.known());
                if (entry != null) {
                    one.put("credentialValidation", entry.getCredentialValidation().isEnabled());
                    one.put("artifactValidation", entry.getArtifactValidation().isEnabled());
                    one.put("callTimeout", entry.getCallTimeout() == null ? null
                            : entry.getCallTimeout().toString());
                }
                list.add(one);
            }
            all.put(type, list);
        }
        answer.put("registries", all);
        if (!input.images().isEmpty()) {
            List<Object> images = new ArrayList<>();
            input.images().forEach(image -> images.add(image(registries, image)));
            answer.put("images", images);
        }
        return answer;
    }

    private static Map<String, Object> image(Registries registries, String image) {
        Map<String, Object> one = Reference.object();
        one.put("image", image);
        try {
            String host = ImageHost.of(image);
            one.put("host", host);
            if (host != null) {
                String lookup = registries.lookupHost(host);
                one.put("lookup", lookup);
                one.put("registry", registries.nameOfHost(lookup));
            } else {
                one.put("registry", null);
            }
        } catch (IllegalArgumentException e) {
            one.put("host", null);
            one.put("registry", null);
            one.put("error", e.getMessage());
        }
        return one;
    }

    static Map<String, Object> failed(Throwable thrown) {
        Map<String, Object> answer = Reference.object();
        answer.put("starts", false);
        Throwable e = thrown;
        while (e != null && !(e instanceof BindException)
                && !(e instanceof Registries.DuplicateException) && e.getCause() != null) {
            e = e.getCause();
        }
        answer.put("exception", e.getClass().getName());
        answer.put("message", e.getMessage());
        if (e instanceof BindException bind) {
            answer.put("property", bind.getName().toString());
            if (bind.getProperty() != null) {
                answer.put("bound", bind.getProperty().getName().toString());
                Origin origin = bind.getProperty().getOrigin();
                answer.put("origin", origin == null ? null : origin.toString());
            }
        }
        Throwable root = e;
        while (root.getCause() != null) {
            root = root.getCause();
        }
        answer.put("kind", kind(e, root, answer));
        if (root != e) {
            answer.put("root", root.getClass().getName());
            answer.put("rootMessage", root.getMessage());
        }
        return answer;
    }

    private static String kind(Throwable e, Throwable root, Map<String, Object> answer) {
        if (e instanceof Registries.DuplicateException duplicate) {
            answer.put("type", duplicate.type());
            answer.put("by", duplicate.by());
            return "duplicate";
        }
        if (root instanceof BindValidationException validation) {
            List<String> fields = new ArrayList<>();
            validation.getValidationErrors().forEach(error -> fields.add(
                    error instanceof FieldError field
                            ? field.getObjectName() + "." + field.getField() : error.getObjectName()));
            fields.sort(null);
            answer.put("property", validation.getValidationErrors().getName().toString());
            answer.put("fields", fields);
            return "validation";
        }
        if (root instanceof PlaceholderResolutionException) {
            return "placeholder";
        }
        return e instanceof BindException ? "conversion" : "other";
    }
}
