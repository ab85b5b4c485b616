package registryreference;

import java.net.URI;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import software.amazon.awssdk.regions.Region;

/** From an image reference to the host name that is looked up among the recognised registries. */
final class ImageHost {

    private static final Pattern ECR = Pattern.compile("\\d{12}\\.dkr\\.ecr\\.("
            + alternatives(Region.regions().stream().map(Region::id).toList())
            + ")\\.amazonaws\\.com");

    private static final Pattern VOLCENGINE = Pattern.compile("[\\w-]+-("
            + alternatives(List.of("cn-beijing", "cn-shanghai", "cn-guangzhou", "cn-hangzhou",
                    "cn-hongkong", "ap-southeast-1", "ap-southeast-3"))
            + ")\\.cr\\.volces\\.com");

    private ImageHost() {
    }

    private static String alternatives(List<String> words) {
        return words.stream().map(Pattern::quote).collect(Collectors.joining("|"));
    }

    /**
     * The host, or null where java.net.URI sees none; throws IllegalArgumentException where the
     * text is no URI at all. Text that starts with "http" is taken for a URL already.
     */
    static String of(String image) {
        return URI.create(image.startsWith("http") ? image : "https://" + image).getHost();
    }

    /** Aliases: canary hosts by exact name, account and region hosts by pattern. */
    static String normalise(String host, String ngcContainer, String ngcHelm, String ngcArtifact) {
        if (host.equals("canary.nvcr.io")) {
            return ngcContainer;
        }
        if (host.equals("helm.canary.ngc.nvidia.com")) {
            return ngcHelm;
        }
        if (host.equals("api.canary.ngc.nvidia.com")) {
            return ngcArtifact;
        }
        if (ECR.matcher(host).matches()) {
            return "dkr.ecr.amazonaws.com";
        }
        if (VOLCENGINE.matcher(host).matches()) {
            return "cr.volces.com";
        }
        return host.contains("azurecr.io") ? "azurecr.io" : host;
    }
}
