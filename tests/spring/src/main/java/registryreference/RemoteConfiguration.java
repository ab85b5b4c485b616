package registryreference;

import java.util.Map;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.springframework.cloud.bootstrap.config.PropertySourceLocator;
import org.springframework.cloud.kubernetes.commons.config.SourceDataEntriesProcessor;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.EnumerablePropertySource;
import org.springframework.core.env.Environment;
import org.springframework.core.env.MapPropertySource;
import org.springframework.core.env.StandardEnvironment;

/**
 * Hands a text to the bootstrap context the way Spring Cloud Kubernetes hands over a ConfigMap:
 * read by its own reader, through a PropertySourceLocator. Registered in META-INF/spring.factories.
 */
@Configuration(proxyBeanMethods = false)
public class RemoteConfiguration {

    /** The text, or null for none. Of the process: one application starts at a time. */
    static volatile String text;

    /** Says of each duplicate key that there is one; held, so that it stays silent. */
    private static final Logger SNAKE = Logger.getLogger("org.yaml.snakeyaml");

    static {
        SNAKE.setLevel(Level.OFF);
    }

    private static final Environment CHARTS = profiles("ncp");

    /** An environment with these profiles active. */
    static Environment profiles(String... active) {
        StandardEnvironment environment = new StandardEnvironment();
        environment.setActiveProfiles(active);
        return environment;
    }

    /** One data key of a ConfigMap, with the profile that the charts make active. */
    static EnumerablePropertySource<?> source(String text) {
        return source("nvcf-api.yaml", text, CHARTS);
    }

    /** What cannot be read costs the API all of it, and no more (fail-fast is off). */
    static EnumerablePropertySource<?> source(String key, String text, Environment environment) {
        try {
            return new MapPropertySource("remote", read(key, text, environment));
        } catch (RuntimeException e) {
            return new MapPropertySource("remote", Map.of());
        }
    }

    static Map<String, Object> read(String key, String text, Environment environment) {
        return SourceDataEntriesProcessor.processAllEntries(Map.of(key, text), environment);
    }

    /** The locator. */
    @Bean
    PropertySourceLocator remoteConfigurationLocator() {
        return environment -> text == null ? null : source(text);
    }
}
