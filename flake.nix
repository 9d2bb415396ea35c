{
  description = "Rondo: a replicated key-value store";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";

  outputs = { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [ "x86_64-linux" "aarch64-linux" "aarch64-darwin" ];
      forEachSystem = make: lib.genAttrs systems (system: make system nixpkgs.legacyPackages.${system});

      # The packages needed at run time are the same on all systems, so one hash fits all. A test checks it;
      # `node scripts/modulesHash.ts` prints the new one after a change of dependencies.
      modulesHash = "sha256-VNB/ZG0hNjDF7dc2wX1dB3X8vZ10VghvkkqSgVpzcUI=";

      # buildNpmPackage needs download addresses, which the lock file lacks. So npm itself fetches, checked by hash.
      modulesFor = pkgs: pkgs.stdenv.mkDerivation {
        name = "rondo-modules";
        src = lib.fileset.toSource {
          root = ./.;
          fileset = lib.fileset.unions [ ./package.json ./package-lock.json ];
        };
        nativeBuildInputs = [ pkgs.nodejs_26 ];
        buildPhase = ''
          export HOME=$TMPDIR
          npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund
          rm -rf node_modules/.package-lock.json node_modules/.bin
        '';
        # The folder must be called node_modules: packages find each other by that name.
        installPhase = "mkdir $out && cp -r node_modules $out/";
        # Fixups would insert paths of this system into an output that must be the same everywhere.
        dontFixup = true;
        outputHashMode = "recursive";
        outputHash = modulesHash;
      };

      # Outside node_modules, Node 26 runs the TypeScript sources directly.
      packageFor = pkgs: pkgs.stdenv.mkDerivation {
        pname = "rondo";
        version = (lib.importJSON ./package.json).version;
        src = lib.fileset.toSource {
          root = ./.;
          fileset = lib.fileset.unions [ ./package.json ./src ];
        };
        nativeBuildInputs = [ pkgs.makeWrapper ];
        dontBuild = true;
        installPhase = ''
          mkdir -p $out/bin $out/share/rondo/bin
          cp -r package.json src $out/share/rondo/
          ln -s ${modulesFor pkgs}/node_modules $out/share/rondo/node_modules
          makeWrapper ${pkgs.nodejs_26}/bin/node $out/share/rondo/bin/rondo \
            --set-default MALLOC_ARENA_MAX 2 --set-default MALLOC_MMAP_THRESHOLD_ 131072 \
            --add-flags "--max-semi-space-size=16 --heap-growing-percent=75 --disable-warning=ExperimentalWarning $out/share/rondo/src/main.ts"
          ln -s $out/share/rondo/bin/rondo $out/bin/rondo
        '';
        meta = {
          description = "A replicated key-value store";
          license = lib.licenses.mit;
          mainProgram = "rondo";
        };
      };
    in
    {
      packages = forEachSystem (_: pkgs: { default = packageFor pkgs; });

      # The same as `npm start`: three nodes, with their data under ./data in the current directory.
      apps = forEachSystem (system: pkgs: {
        default = {
          type = "app";
          program = "${pkgs.writeShellScriptBin "rondo-up" ''exec ${self.packages.${system}.default}/bin/rondo up "$@"''}/bin/rondo-up";
          meta.description = "A three-node cluster on this machine";
        };
      });

      # A real cluster in the build sandbox: values written through one node are read through the others.
      checks = forEachSystem (system: pkgs: {
        package = self.packages.${system}.default;
        cluster = pkgs.runCommand "rondo-cluster" {
          nativeBuildInputs = [ pkgs.nodejs_26 ];
          __darwinAllowLocalNetworking = true;
        } ''
          ${self.packages.${system}.default}/bin/rondo up --base-port 18081 --data $TMPDIR/data > log 2>&1 & up=$!
          node ${./scripts/smoke.mjs} 18081 18082 18083 || { cat log; exit 1; }
          kill -TERM $up
          wait $up || { cat log; exit 1; }
          touch $out
        '';
      });

      devShells = forEachSystem (_: pkgs: { default = pkgs.mkShell { packages = [ pkgs.nodejs_26 ]; }; });
    };
}
