package registryreference;

import jakarta.validation.Valid;
import jakarta.validation.constraints.NotBlank;
import java.time.Duration;
import java.util.Map;
import org.springframework.validation.annotation.Validated;

/**
 * Properties of the shape and with the constraints that the API binds below
 * {@code nvcf.registries} and {@code nvct.registries}. Shape matters to the binder: which nested
 * beans exist, which are created up front, which are validated with their parent.
 */
@Validated
public class RegistryProperties {

    private Recognized recognized;

    public Recognized getRecognized() {
        return recognized;
    }

    public void setRecognized(Recognized recognized) {
        this.recognized = recognized;
    }

    /** One map of entries per artifact type. */
    public static class Recognized {

        @Valid
        private Map<String, Entry> container;
        @Valid
        private Map<String, Entry> helm;
        @Valid
        private Map<String, Entry> model;
        @Valid
        private Map<String, Entry> resource;

        public Map<String, Entry> getContainer() {
            return container;
        }

        public void setContainer(Map<String, Entry> container) {
            this.container = container;
        }

        public Map<String, Entry> getHelm() {
            return helm;
        }

        public void setHelm(Map<String, Entry> helm) {
            this.helm = helm;
        }

        public Map<String, Entry> getModel() {
            return model;
        }

        public void setModel(Map<String, Entry> model) {
            this.model = model;
        }

        public Map<String, Entry> getResource() {
            return resource;
        }

        public void setResource(Map<String, Entry> resource) {
            this.resource = resource;
        }
    }

    /** One registry. */
    public static class Entry {

        @NotBlank
        private String name;
        @NotBlank
        private String hostname;
        private Duration callTimeout;
        private Duration readTimeout;
        private Duration writeTimeout;
        private Duration connectionTimeout;
        private OAuth2 oauth2;
        private Validation credentialValidation = new Validation();
        private Validation artifactValidation = new Validation();

        public String getName() {
            return name;
        }

        public void setName(String name) {
            this.name = name;
        }

        public String getHostname() {
            return hostname;
        }

        public void setHostname(String hostname) {
            this.hostname = hostname;
        }

        public Duration getCallTimeout() {
            return callTimeout;
        }

        public void setCallTimeout(Duration callTimeout) {
            this.callTimeout = callTimeout;
        }

        public Duration getReadTimeout() {
            return readTimeout;
        }

        public void setReadTimeout(Duration readTimeout) {
            this.readTimeout = readTimeout;
        }

        public Duration getWriteTimeout() {
            return writeTimeout;
        }

        public void setWriteTimeout(Duration writeTimeout) {
            this.writeTimeout = writeTimeout;
        }

        public Duration getConnectionTimeout() {
            return connectionTimeout;
        }

        public void setConnectionTimeout(Duration connectionTimeout) {
            this.connectionTimeout = connectionTimeout;
        }

        public OAuth2 getOauth2() {
            return oauth2;
        }

        public void setOauth2(OAuth2 oauth2) {
            this.oauth2 = oauth2;
        }

        public Validation getCredentialValidation() {
            return credentialValidation;
        }

        public void setCredentialValidation(Validation credentialValidation) {
            this.credentialValidation = credentialValidation;
        }

        public Validation getArtifactValidation() {
            return artifactValidation;
        }

        public void setArtifactValidation(Validation artifactValidation) {
            this.artifactValidation = artifactValidation;
        }
    }

    /** Switch of one kind of validation. */
    public static class Validation {

        private boolean enabled = true;

        public boolean isEnabled() {
            return enabled;
        }

        public void setEnabled(boolean enabled) {
            this.enabled = enabled;
        }
    }

    /** Where a token comes from. */
    public static class OAuth2 {

        private String baseUrl;
        private String groupScope;

        public String getBaseUrl() {
            return baseUrl;
        }

        public void setBaseUrl(String baseUrl) {
            this.baseUrl = baseUrl;
        }

        public String getGroupScope() {
            return groupScope;
        }

        public void setGroupScope(String groupScope) {
            this.groupScope = groupScope;
        }
    }
}
