package registryreference;

import org.springframework.cloud.bootstrap.config.PropertySourceLocator;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.CompositePropertySource;
import org.springframework.core.env.PropertySource;
import org.springframework.core.io.ByteArrayResource;

/**
 * Hands a YAML text to the bootstrap context the way Spring Cloud Kubernetes hands over a ConfigMap:
 * through a PropertySourceLocator. Registered in META-INF/spring.factories.
 */
@Configuration(proxyBeanMethods = false)
public class RemoteConfiguration {

    /** The text, or null for none. Of the process: one application starts at a time. */
    static volatile String text;

    /** The locator. */
    @Bean
    PropertySourceLocator remoteConfigurationLocator() {
        return environment -> {
            if (text == null) {
                return null;
            }
            CompositePropertySource composite = new CompositePropertySource("remote");
            for (PropertySource<?> source : Reference.yaml("remote",
                    new ByteArrayResource(text.getBytes(java.nio.charset.StandardCharsets.UTF_8)))) {
                composite.addPropertySource(source);
            }
            return composite;
        };
    }
}
